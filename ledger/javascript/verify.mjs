#!/usr/bin/env node
// Verify one receipt: node verify.mjs RECEIPT --key log.pub [--history key-history] [--origin ORIGIN]
// log.pub is the key the log began with; key-history, published beside the log, proves which key came after which.
// Exit status: 0 verified, 1 refused, 2 wrong use. No network, no database.

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Refusal, verifyKeyHistory, verifyReceipt } from "./receipt.mjs";

const USE = "use: node verify.mjs RECEIPT --key log.pub [--history key-history] [--origin ORIGIN]";

function isEd25519(vkey) {
  return Buffer.from(vkey.split("+").slice(2).join("+"), "base64")[0] === 1;
}

async function readKey(files) {
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  const lines = texts.flatMap((text) => text.split("\n")).filter((line) => line !== "" && !line.startsWith("#"));
  const vkeys = lines.filter(isEd25519);
  if (vkeys.length < lines.length) console.error("note: only Ed25519 keys are used; others were passed over");
  if (vkeys.length === 1) return vkeys[0];
  throw new TypeError("give one Ed25519 key, the log's first; a key history proves those that came later");
}

async function main() {
  const options = { key: { type: "string", multiple: true }, history: { type: "string" }, origin: { type: "string" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 1 || !values.key) throw new TypeError("one receipt and one key are needed");
  const [receipt, history] = await Promise.all([positionals[0], values.history].map((file) => file && readFile(file)));
  const vkey = await readKey(values.key);
  const origin = values.origin ?? vkey.split("+")[0];
  const keys = history ? await verifyKeyHistory(history, vkey, origin) : vkey;
  const proved = await verifyReceipt(new Uint8Array(receipt), keys, origin);
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
