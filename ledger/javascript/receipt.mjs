// Verifies receipts of the ledger in a browser or in Node (18.4 or newer), without any dependency.
//
//     import { verifyKeyHistory, verifyReceipt } from "./receipt.mjs";
//     const keys = await verifyKeyHistory(history, firstVkey, origin); // `key-history`, published beside the log
//     const { entry, index, size } = await verifyReceipt(bytes, keys, origin);
//
// A receipt is a C2SP tlog-proof whose extra line carries the entry. What is verified, in this order: its form, the
// signatures of its checkpoint (a signed note), the checkpoint's origin, that one of the keys that signed was in force at
// its size, the inclusion proof of RFC 6962, and that what is proved is an entry of this ledger in its one spelling.
// Anything else throws a `Refusal`, whose `name` tells what is wrong: KeyHistoryError, ReceiptError, NoteError, WrongKey,
// WrongOrigin, KeyNotInForce, ProofError, EntryError. Written anew from the formats, not translated from the Python
// verifier; both must agree on every vector.

import KINDS from "./kinds.mjs";

const HISTORY = "chengxin key history v1";
const CHANGES = { added: "LogKeyAdded", retired: "LogKeyRetired" };
const HEADER = "c2sp.org/tlog-proof@v1";
const LONGEST = 1 << 20; // bytes of a receipt, and of a note
const LONGEST_HISTORY = 64 << 20;
const LONGEST_ENTRY = 65535;
const LONGEST_NAME = 255; // bytes, as tlog-cosignature has it
const MOST_SIGNATURES = 64;
const LONGEST_PROOF = 64;
const LARGEST = (1n << 63n) - 1n;
const ED25519 = 0x01;
const DEEPEST = 64;

const KNOWN = new Set(KINDS);
const HASH = /^[0-9a-f]{64}$/;
const RECORD = /^[0-9a-f]{32}$/;
const GROUP = /^[a-z][a-z0-9_-]{0,31}$/;
const TIME = /^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3})[0-9]{3}Z$/;
const FIELDS = ["at", "commits", "kind", "policy", "prev", "record", "seq", "v"];
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;
// Unicode white space as the key name rule of signed notes has it; JavaScript's own \s differs by three characters.
const NOT_IN_NAME = /[+\u0000-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** Why something was not accepted. */
export class Refusal extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

/**
 * A key of the log, and the sizes of checkpoints that it may sign; `last` is null while it is in force. A key without its
 * sizes is worth nothing: whoever has a private key that was retired could sign whatever it likes.
 *
 * @typedef {{vkey: string, first: bigint, last: bigint | null}} KeyRange
 */

/**
 * Verify a receipt offline.
 *
 * @param {Uint8Array} receipt the receipt's bytes
 * @param {KeyRange[] | string} keys what `verifyKeyHistory` returned; or, of a log that has never had another key, that
 *   key as a C2SP verifier key line
 * @param {string} origin the log's origin
 * @returns {Promise<{entry: object, leaf: Uint8Array, index: bigint, size: bigint, root: Uint8Array,
 *   signedBy: string[]}>} what the receipt proves: `entry` is at `index` of the log whose first `size` entries have
 *   this `root`; `signedBy` are the keys in force that signed, as `name+id`
 * @throws {Refusal}
 */
export async function verifyReceipt(receipt, keys, origin) {
  const parsed = parseReceipt(receipt);
  const checkpoint = await openCheckpoint(parsed.note, keys, origin);
  const leafHash = await sha256(Uint8Array.of(0), parsed.leaf);
  await verifyInclusion(leafHash, parsed.index, checkpoint.size, parsed.proof, checkpoint.root);
  return {
    entry: decodeEntry(parsed.leaf),
    leaf: parsed.leaf,
    index: parsed.index,
    size: checkpoint.size,
    root: checkpoint.root,
    signedBy: checkpoint.signedBy,
  };
}

/**
 * Verify a checkpoint of the log `origin` with the keys as `verifyReceipt` takes them.
 *
 * @param {Uint8Array} note
 * @returns {Promise<{size: bigint, root: Uint8Array, signedBy: string[]}>}
 * @throws {Refusal}
 */
export async function openCheckpoint(note, keys, origin) {
  const { text, signers } = await openNote(note, typeof keys === "string" ? [forEver(keys)] : keys);
  const lines = text.split("\n");
  if (lines.length < 4 || lines.pop() !== "" || lines.includes("")) {
    throw new Refusal("NoteError", "a checkpoint has three or more non-empty lines");
  }
  const size = decimal(lines[1], "NoteError");
  const root = base64(lines[2], "NoteError");
  if (root.length !== 32) throw new Refusal("NoteError", "the root of a checkpoint is not 32 bytes long");
  if (lines[0] !== origin) throw new Refusal("WrongOrigin", "the checkpoint is of another log");
  const inForce = signers.filter(({ first, last }) => first <= size && (last === null || size <= last));
  if (inForce.length === 0) {
    throw new Refusal("KeyNotInForce", `no key that was in force at size ${size} signed the checkpoint of this size`);
  }
  return { size, root, signedBy: inForce.map(({ label }) => label) };
}

/**
 * Verify a published key history from the log's first key onwards, offline. It cannot tell whether it is the newest: take
 * it from where the log is published.
 *
 * @param {Uint8Array} history the bytes of `key-history`
 * @param {string} firstVkey the key the log began with, a C2SP verifier key line
 * @param {string} origin the log's origin
 * @returns {Promise<KeyRange[]>} every key the log has had
 * @throws {Refusal} KeyHistoryError
 */
export async function verifyKeyHistory(history, firstVkey, origin) {
  try {
    return await followHistory(history, firstVkey, origin);
  } catch (error) {
    throw error instanceof Refusal ? new Refusal("KeyHistoryError", error.message) : error;
  }
}

// What the receipts prove is written again in the one spelling, and must be the text: so its ranges prove nothing.
async function followHistory(history, firstVkey, origin) {
  if (history.length > LONGEST_HISTORY) throw new Refusal("KeyHistoryError", "the key history is too long");
  const text = utf8(history, "KeyHistoryError");
  const [, named = "", told = ""] = text.split("\n\n");
  const vkeys = named.split("\n").map((line) => line.slice(line.indexOf(" ") + 1));
  const keys = [await logKey(firstVkey.replace(/\n$/, ""), origin)];
  let [seen, events] = [0n, ""];
  for (const line of told.split("\n").slice(0, -1)) {
    const [act, number, encoded = ""] = line.split(" ");
    const key = act === "added" ? await logKey(vkeys[keys.length], origin) : keys[number];
    const signers = keys.filter((one) => one.last === null && one !== key).map(({ label }) => label);
    if (act === "added" ? keys.some(({ label }) => label === key.label) : act !== "retired" || key?.last !== null) {
      throw new Refusal("KeyHistoryError", "a key cannot be added twice, or retired when it is not in force");
    }
    const { entry, index, size, signedBy } = await verifyReceipt(base64(encoded, "ReceiptError"), keys, origin);
    const right = entry.kind === CHANGES[act] && entry.commits.public === (await commitKey(key.vkey));
    if (!right || index < seen || !signedBy.some((label) => signers.includes(label))) {
      throw new Refusal("KeyHistoryError", "a receipt does not prove the change of a key");
    }
    if (act === "added") keys.push({ ...key, first: index + 1n });
    else key.last = index;
    events += `${act} ${act === "added" ? keys.length - 1 : number} ${encoded}\n`;
    seen = size;
  }
  const ranges = keys.map(({ first, last, vkey }) => `${first}-${last ?? ""} ${vkey}\n`).join("");
  if (`${HISTORY}\n${origin}\n\n${ranges}\n${events}` !== text) {
    throw new Refusal("KeyHistoryError", "the receipts prove other keys or ranges, or the text is not in canonical form");
  }
  return keys.map(({ vkey, first, last }) => ({ vkey, first, last }));
}

function forEver(vkey) {
  return { vkey, first: 0n, last: null };
}

async function logKey(vkey, origin) {
  const { label } = await parseVkey(vkey);
  if (!label.startsWith(`${origin}+`)) throw new Refusal("KeyHistoryError", "a key is not named as the log is");
  return { ...forEver(vkey), label };
}

async function commitKey(vkey) {
  const salt = new Uint8Array(32); // public: there is nothing to hide in a key of the log
  const bytes = (text) => new TextEncoder().encode(text);
  return hex(await sha256(bytes("chengxin/ledger/v1/commit\0public\0"), salt, bytes(canonical({ vkey }, 0))));
}

function parseReceipt(receipt) {
  if (receipt.length > LONGEST) throw new Refusal("ReceiptError", "the receipt is too long");
  const gap = receipt.findIndex((byte, at) => byte === 10 && receipt[at + 1] === 10);
  if (gap < 0) throw new Refusal("ReceiptError", "not a tlog-proof of version 1");
  const head = receipt.subarray(0, gap);
  if (head.some((byte) => byte > 127)) throw new Refusal("ReceiptError", "the receipt's first part is not ASCII");
  const [header, extra, index, ...proof] = utf8(head, "ReceiptError").split("\n");
  if (header !== HEADER) throw new Refusal("ReceiptError", "not a tlog-proof of version 1");
  if (!extra?.startsWith("extra ") || !index?.startsWith("index ")) {
    throw new Refusal("ReceiptError", "the receipt carries no entry or no index");
  }
  if (proof.length > LONGEST_PROOF) throw new Refusal("ReceiptError", "the proof is too long");
  return {
    leaf: base64(extra.slice(6), "ReceiptError"),
    index: decimal(index.slice(6), "ReceiptError"),
    proof: proof.map((line) => base64(line, "ReceiptError")),
    note: receipt.subarray(gap + 2),
  };
}

// --- signed notes (https://c2sp.org/signed-note) --------------------------------------------------------------------

async function openNote(note, keys) {
  const { text, lines } = splitNote(note);
  const parsed = await Promise.all(keys.map(async (key) => ({ ...key, ...(await parseVkey(key.vkey)) })));
  const known = new Map(parsed.map((key) => [key.label, key]));
  const message = new TextEncoder().encode(text);
  const signers = new Set();
  for (const line of lines) {
    const { label, signature } = parseLine(line);
    const key = known.get(label);
    // Lines of keys that were not given are ignored, whatever their algorithm; one bad line of a given key is fatal.
    if (key === undefined) continue;
    if (!(await verifyEd25519(key.bytes, signature, message))) {
      throw new Refusal("NoteError", `bad signature of key ${label}`);
    }
    signers.add(key);
  }
  if (signers.size === 0) throw new Refusal("WrongKey", "no signature of the note is by a known key");
  return { text, signers: [...signers] };
}

function splitNote(note) {
  if (note.length > LONGEST) throw new Refusal("NoteError", "the note is too long");
  const whole = utf8(note, "NoteError");
  if (CONTROL.test(whole)) throw new Refusal("NoteError", "the note holds a control character");
  const gap = whole.lastIndexOf("\n\n");
  const tail = whole.slice(gap + 2);
  if (gap < 0 || !tail.endsWith("\n")) throw new Refusal("NoteError", "the note has no signature lines");
  const lines = tail.slice(0, -1).split("\n");
  if (lines.length > MOST_SIGNATURES) throw new Refusal("NoteError", "the note has too many signatures");
  return { text: whole.slice(0, gap + 1), lines };
}

function parseLine(line) {
  const parts = line.split(" ");
  if (parts.length !== 3 || parts[0] !== "\u2014") throw new Refusal("NoteError", "malformed signature line");
  requireKeyName(parts[1]);
  const value = base64(parts[2], "NoteError");
  if (value.length < 5) throw new Refusal("NoteError", "a signature is too short");
  return { label: `${parts[1]}+${hex(value.subarray(0, 4))}`, signature: value.subarray(4) };
}

async function parseVkey(line) {
  const found = /^([^+]*)\+([^+]*)\+([^\n]*)\n?$/.exec(line);
  if (found === null) throw new Refusal("NoteError", "a verifier key has the form name+id+base64");
  const [, name, id, encoded] = found;
  requireKeyName(name);
  const key = base64(encoded, "NoteError");
  if (key.length !== 33 || key[0] !== ED25519) {
    throw new Refusal("NoteError", "the verifier key is not an Ed25519 key, the one kind this verifier knows");
  }
  const digest = await sha256(new TextEncoder().encode(`${name}\n`), key);
  if (hex(digest.subarray(0, 4)) !== id) {
    throw new Refusal("NoteError", "the verifier key's id does not belong to its key");
  }
  return { label: `${name}+${id}`, bytes: key.subarray(1) };
}

function requireKeyName(name) {
  if (name === "" || NOT_IN_NAME.test(name) || new TextEncoder().encode(name).length > LONGEST_NAME) {
    throw new Refusal("NoteError", "not a key name");
  }
}

async function verifyEd25519(bytes, signature, message) {
  const subtle = await webCrypto();
  const key = await subtle.importKey("raw", bytes, { name: "Ed25519" }, false, ["verify"]);
  return subtle.verify({ name: "Ed25519" }, key, signature, message);
}

// --- the tree (RFC 6962, 2.1; the algorithm of RFC 9162, 2.1.3.2) ---------------------------------------------------

async function verifyInclusion(leafHash, index, size, proof, root) {
  if (proof.some((hash) => hash.length !== 32)) throw new Refusal("ProofError", "a hash is not 32 bytes long");
  if (index >= size) throw new Refusal("ProofError", `no leaf ${index} in a tree of ${size}`);
  let [here, last, computed] = [index, size - 1n, leafHash];
  for (const sibling of proof) {
    if (last === 0n) throw new Refusal("ProofError", "the proof is too long for this tree");
    if ((here & 1n) === 1n || here === last) {
      computed = await sha256(Uint8Array.of(1), sibling, computed);
      while (here !== 0n && (here & 1n) === 0n) [here, last] = [here >> 1n, last >> 1n];
    } else {
      computed = await sha256(Uint8Array.of(1), computed, sibling);
    }
    [here, last] = [here >> 1n, last >> 1n];
  }
  if (last !== 0n) throw new Refusal("ProofError", "the proof is too short for this tree");
  if (hex(computed) !== hex(root)) throw new Refusal("ProofError", "the proof leads to another root");
}

// --- entries (RFC 8785 in a profile without floats) -----------------------------------------------------------------

function decodeEntry(leaf) {
  if (leaf.length > LONGEST_ENTRY) throw new Refusal("EntryError", "too long");
  const text = utf8(leaf, "EntryError");
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal("EntryError", "not JSON");
  }
  // Parsing is lenient (duplicate keys, spaces, 1.0); that it is written again in the same way is not.
  if (canonical(value, 0) !== text) throw new Refusal("EntryError", "JSON is not in canonical form");
  if (!isObject(value) || Object.keys(value).join() !== FIELDS.join()) {
    throw new Refusal("EntryError", "a field is missing or unknown");
  }
  const wrong = FIELDS.filter((field) => !RIGHT[field](value[field]));
  if (wrong.length > 0) throw new Refusal("EntryError", `wrong: ${wrong.join(", ")}`);
  if ((value.seq === 0) !== (value.prev === null)) {
    throw new Refusal("EntryError", "the first entry of a record, and no other, has no previous one");
  }
  return value;
}

const RIGHT = {
  at: isTime,
  commits: (value) =>
    isObject(value) && Object.entries(value).every(([group, commit]) => GROUP.test(group) && matches(HASH, commit)),
  kind: (value) => KNOWN.has(value),
  policy: (value) => value === "" || matches(HASH, value),
  prev: (value) => value === null || matches(HASH, value),
  record: (value) => matches(RECORD, value),
  seq: (value) => Number.isSafeInteger(value) && value >= 0,
  v: (value) => value === 1,
};

function canonical(value, depth) {
  if (depth > DEEPEST) throw new Refusal("EntryError", "nested too deeply");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") {
    if (/\p{Surrogate}/u.test(value)) throw new Refusal("EntryError", "a string is not well-formed Unicode");
    return JSON.stringify(value);
  }
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new Refusal("EntryError", "a number is not an integer below 2^53");
    return String(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(",")}]`;
  const keys = Object.keys(value).sort();
  if (keys.some((key) => /[^\u0000-\u007f]/.test(key))) throw new Refusal("EntryError", "a key is not ASCII");
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key], depth + 1)}`).join(",")}}`;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function matches(pattern, value) {
  return typeof value === "string" && pattern.test(value);
}

function isTime(value) {
  const found = typeof value === "string" ? TIME.exec(value) : null;
  if (found === null || value.startsWith("0000")) return false;
  const at = new Date(`${found[1]}Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString() === `${found[1]}Z`; // no 30 February, no hour 24
}

// --- texts and numbers in their one spelling, and the browser's cryptography ------------------------------------------

function decimal(text, name) {
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(text) || BigInt(text) > LARGEST) {
    throw new Refusal(name, "not a decimal number in its one spelling");
  }
  return BigInt(text);
}

function base64(text, name) {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Refusal(name, "not base64");
  let binary;
  try {
    binary = atob(text);
  } catch {
    throw new Refusal(name, "not base64");
  }
  if (btoa(binary) !== text) throw new Refusal(name, "base64 is not in canonical form");
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function utf8(bytes, name) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refusal(name, "not UTF-8");
  }
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function sha256(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await (await webCrypto()).digest("SHA-256", whole));
}

async function webCrypto() {
  return globalThis.crypto?.subtle ?? (await import("node:crypto")).webcrypto.subtle; // Node 18 has no global
}
