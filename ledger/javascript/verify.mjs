#!/usr/bin/env node
// Verify one receipt: node verify.mjs RECEIPT --key log.pub [--key older.pub ...] [--origin ORIGIN]
// Exit status: 0 verified, 1 refused, 2 wrong use. No network, no database.

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Refusal, verifyReceipt } from "./receipt.mjs";

const USE = "use: node verify.mjs RECEIPT --key log.pub [--key older.pub ...] [--origin ORIGIN]";

function isEd25519(vkey) {
  const material = vkey.trim().split("+").slice(2).join("+");
  return Buffer.from(material, "base64")[0] === 1;
}

async function main() {
  const options = { key: { type: "string", multiple: true }, origin: { type: "string" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 1 || !values.key) throw new TypeError("one receipt and one or more keys are needed");
  const files = await Promise.all(values.key.map((file) => readFile(file, "utf8")));
  const lines = files.flatMap((text) => text.split("\n")).filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const vkeys = lines.filter(isEd25519);
  if (vkeys.length < lines.length) console.error("note: only Ed25519 keys are used; others were passed over");
  if (vkeys.length === 0) throw new TypeError("the key files hold no Ed25519 key");
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
