// A validator for NRI: mounts that plugins add are read-only, and no variable that
// they set is named like a secret. See README.md for the rules.
//
// The three exported functions at the end are NRI's ABI; between them and the rules
// lies all that is needed of protobuf.

// --- Protobuf ---------------------------------------------------------------

// malformed is set for good by the first byte that is not protobuf, and then the
// request is not judged.
let malformed = false;

// Message is a piece of the request's memory. Reading from it shortens it.
class Message {
  constructor(public at: usize, public end: usize) {}

  get length(): usize {
    return this.end - this.at;
  }

  private fail(): void {
    malformed = true;
    this.at = this.end;
  }

  private varint(): u64 {
    let value: u64 = 0;
    for (let shift: u64 = 0; shift < 64 && this.at < this.end; shift += 7) {
      const byte = load<u8>(this.at++);
      if (shift == 63 && byte > 1) break;
      value |= u64(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.fail();
    return 0;
  }

  private cut(size: u64): Message {
    if (size > u64(this.length)) {
      this.fail();
      size = 0;
    }
    const start = this.at;
    this.at += usize(size);
    return new Message(start, this.at);
  }

  // next is the next field of that number, which has to be a string or a message;
  // null at the end of the message.
  next(number: u64): Message | null {
    while (this.at < this.end) {
      const tag = this.varint();
      let value: Message | null = null;
      switch (u32(tag & 7)) {
        case 0: this.varint(); break;
        case 1: this.cut(8); break;
        case 2: value = this.cut(this.varint()); break;
        case 5: this.cut(4); break;
        default: this.fail();
      }
      const field = tag >> 3;
      if (field == 0 || field >= 1 << 29 || (field == number && !value)) this.fail();
      if (malformed) return null;
      if (field == number) return value;
    }
    return null;
  }

  // field is a string that there is once; of several the last one counts.
  field(number: u64): Message {
    const rest = new Message(this.at, this.end);
    let last = new Message(this.end, this.end);
    for (let value = rest.next(number); value; value = rest.next(number)) last = value;
    return last;
  }

  // before is what comes before a character, or all.
  before(character: u8): Message {
    let end = this.at;
    while (end < this.end && load<u8>(end) != character) end++;
    return new Message(this.at, end);
  }

  // endsWith compares ASCII, in any case.
  endsWith(suffix: string): bool {
    const length = usize(suffix.length);
    if (this.length < length) return false;
    const start = this.end - length;
    for (let i: usize = 0; i < length; i++) {
      if (upper(load<u8>(start + i)) != upper(u8(suffix.charCodeAt(i32(i))))) return false;
    }
    return true;
  }

  equals(text: string): bool {
    if (this.length != usize(text.length)) return false;
    for (let i = 0; i < text.length; i++) {
      if (load<u8>(this.at + i) != u8(text.charCodeAt(i))) return false;
    }
    return true;
  }

  toString(): string {
    return String.UTF8.decodeUnsafe(this.at, this.length);
  }
}

function upper(c: u8): u8 {
  return c >= 0x61 && c <= 0x7a ? c - 0x20 : c;
}

// --- The rules --------------------------------------------------------------

const secrets: StaticArray<string> = [
  "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE",
  "CREDENTIALS", "API_KEY", "PRIVATE_KEY", "SECRET_KEY", "ACCESS_KEY",
];

// Objections that are named; of more it is only said that there are.
const named = 10;

let objections: string[] = [];

function object(text: string): void {
  if (objections.length < named) objections.push(text);
  else if (objections.length == named) objections.push("and more");
}

function isRemoval(name: Message): bool {
  return name.length > 0 && load<u8>(name.at) == 0x2d; // -
}

// readOnly reads the options in order, as the OCI runtime does: the last word wins,
// recursive attributes come after all others. Options that are glued together with
// commas can only make a mount writable.
function readOnly(mount: Message): bool {
  let ro = false, rro = false, rrw = false;
  for (let option = mount.next(4); option; option = mount.next(4)) {
    if (option.equals("ro")) ro = true;
    if (option.equals("rro")) rro = true, rrw = false;
    for (; option.at <= option.end; ) {
      const word = option.before(0x2c); // ,
      if (word.equals("rw")) ro = false;
      if (word.equals("rrw")) rro = false, rrw = true;
      option.at = word.end + 1;
    }
  }
  return rro || (ro && !rrw);
}

function judgeMount(mount: Message): void {
  const destination = mount.field(1);
  if (!isRemoval(destination) && !readOnly(mount)) object(`mount ${destination.toString()} is not read-only`);
}

function judgeVariable(variable: Message): void {
  const name = variable.field(1).before(0x3d); // behind an equals sign the value would begin
  if (isRemoval(name)) return;
  for (let i = 0; i < secrets.length; i++) {
    if (name.endsWith(secrets[i])) {
      object(`variable ${name.toString()} is named like a secret`);
      return;
    }
  }
}

function judgeEach(request: Message, field: u64, rule: (element: Message) => void): void {
  for (let adjust = request.next(3); adjust; adjust = request.next(3)) {
    for (let element = adjust.next(field); element; element = adjust.next(field)) rule(element);
  }
}

// --- NRI's ABI --------------------------------------------------------------

// Requests come one at a time and leave nothing behind: when all memory was given
// back, the heap is empty again. (The runtime is AssemblyScript's "stub".)
let inUse = 0;

export function malloc(size: usize): usize {
  inUse++;
  return heap.alloc(size);
}

export function free(pointer: usize): void {
  if (pointer && inUse && --inUse == 0) heap.reset();
}

// give hands bytes to the host, which gives them back with free.
function give(start: usize, size: usize): u64 {
  inUse++;
  return (u64(start) << 32) | u64(size);
}

export function plugin_validate_container_adjustment(ptr: usize, size: usize): u64 {
  malformed = false;
  objections = [];
  judgeEach(new Message(ptr, ptr + size), 3, judgeMount);
  judgeEach(new Message(ptr, ptr + size), 4, judgeVariable);
  if (malformed) {
    const text = String.UTF8.encode("the request is malformed");
    return give(changetype<usize>(text), text.byteLength) | (<u64>1 << 31);
  }
  if (objections.length == 0) return 0; // an empty response allows
  return reject(String.UTF8.encode(objections.join("; ")));
}

// reject answers with reject: true and the reason, whose length is a varint of four
// bytes, whatever it is.
function reject(reason: ArrayBuffer): u64 {
  const size = u32(reason.byteLength), start = heap.alloc(7 + size);
  store<u8>(start, 0x08, 0);
  store<u8>(start, 0x01, 1);
  store<u8>(start, 0x12, 2);
  for (let i = 0; i < 4; i++) {
    store<u8>(start + i, ((size >> (7 * i)) & 0x7f) | (i < 3 ? 0x80 : 0), 3);
  }
  memory.copy(start + 7, changetype<usize>(reason), size);
  return give(start, 7 + size);
}
