// Reads questions, one JSON object a line, from standard input, and answers each with a line: what was accepted, or the
// name of the refusal. Anything that is no Refusal is a crash, and says so.

import { createInterface } from "node:readline";
import { Refusal, openCheckpoint, verifyKeyHistory, verifyReceipt } from "../../../ledger/javascript/receipt.mjs";
import { parseBundle, parsePath } from "../../../ledger/javascript/tiles.mjs";

const bytes = (base64) => new Uint8Array(Buffer.from(base64, "base64"));
const hex = (value) => Buffer.from(value).toString("hex");

const inForce = (vkeys) => vkeys.map((vkey) => ({ vkey, first: 0n, last: null }));
const proved = ({ entry, index, size, root }) => {
  return { index: String(index), size: String(size), root: hex(root), kind: entry.kind, record: entry.record };
};

const ANSWERS = {
  async checkpoint({ data, vkeys, origin }) {
    const { size, root } = await openCheckpoint(bytes(data), inForce(vkeys), origin);
    return { size: String(size), root: hex(root) };
  },
  async receipt({ data, vkeys, origin }) {
    return proved(await verifyReceipt(bytes(data), inForce(vkeys), origin));
  },
  async only({ data, vkey, origin }) {
    return proved(await verifyReceipt(bytes(data), vkey, origin));
  },
  async history({ data, history, vkey, origin }) {
    const keys = await verifyKeyHistory(bytes(history), vkey, origin);
    const ranges = keys.map((key) => [key.vkey, Number(key.first), key.last === null ? null : Number(key.last)]);
    return { ranges, ...proved(await verifyReceipt(bytes(data), keys, origin)) };
  },
  async path({ path }) {
    const { level, n, width } = parsePath(path);
    return { level, n: String(n), width };
  },
  async bundle({ data, count }) {
    return { entries: parseBundle(bytes(data), count).map(hex) };
  },
};

async function answer(question) {
  try {
    return await ANSWERS[question.ask](question);
  } catch (error) {
    return { error: error instanceof Refusal ? error.name : `crash: ${error.stack}` };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
