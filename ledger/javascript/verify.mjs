#!/usr/bin/env node
// Verify one receipt: node verify.mjs RECEIPT --key log.pub [--key older.pub ...] [--origin ORIGIN]
// Exit status: 0 verified, 1 refused, 2 wrong use. No network, no database.

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Refusal, verifyReceipt } from "./receipt.mjs";

const USE = "use: node verify.mjs RECEIPT --key log.pub [--key older.pub ...] [--origin ORIGIN]";

async function main() {
  const options = { key: { type: "string", multiple: true }, origin: { type: "string" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 1 || !values.key) throw new TypeError("one receipt and one or more keys are needed");
  const vkeys = await Promise.all(values.key.map(async (file) => (await readFile(file, "utf8")).trim()));
  const origin = values.origin ?? vkeys[0].split("+")[0];
  const proved = await verifyReceipt(new Uint8Array(await readFile(positionals[0])), vkeys, origin);
  const { kind, record, at } = proved.entry;
  return `verified: index ${proved.index}, size ${proved.size}, kind ${kind}, record ${record}, at ${at}`;
}

try {
  console.log(await main());
} catch (error) {
  const refused = error instanceof Refusal;
  console.error(refused ? `refused: ${error.name}: ${error.message}` : `${error.message}\n${USE}`);
  process.exitCode = refused ? 1 : 2;
}
