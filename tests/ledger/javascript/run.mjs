// Reads questions, one JSON object a line, from standard input, and answers each with a line: what was accepted, or the
// name of the refusal. Anything that is no Refusal is a crash, and says so.

import { createInterface } from "node:readline";
import { Refusal, openCheckpoint, verifyReceipt } from "../../../ledger/javascript/receipt.mjs";
import { parseBundle, parsePath } from "../../../ledger/javascript/tiles.mjs";

const bytes = (base64) => new Uint8Array(Buffer.from(base64, "base64"));
const hex = (value) => Buffer.from(value).toString("hex");

const ANSWERS = {
  async checkpoint({ data, vkeys, origin }) {
    const { size, root } = await openCheckpoint(bytes(data), vkeys, origin);
    return { size: String(size), root: hex(root) };
  },
  async receipt({ data, vkeys, origin }) {
    const { entry, index, size, root } = await verifyReceipt(bytes(data), vkeys, origin);
    return { index: String(index), size: String(size), root: hex(root), kind: entry.kind, record: entry.record };
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
