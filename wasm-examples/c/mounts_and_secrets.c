// A validator for NRI: mounts that plugins add are read-only, and no variable that
// they set is named like a secret. See README.md for the rules.
//
// It uses no library. The three functions at the end are NRI's ABI; between them and
// the rules lies all that is needed of protobuf.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define PAGE 65536

// text is a piece of the request's memory. Reading from it shortens it.
typedef struct {
  const uint8_t *at, *end;
} text;

#define TEXT(literal) ((text){(const uint8_t *)literal, (const uint8_t *)literal + sizeof literal - 1})

static size_t length(text t) { return (size_t)(t.end - t.at); }

// --- Memory -----------------------------------------------------------------
//
// Requests come one at a time and leave nothing behind: memory is handed out upwards,
// and when all of it was given back it is empty again.

extern uint8_t __heap_base; // the linker's: where the heap begins

static uintptr_t top;
static size_t in_use;

static void *take(size_t size) {
  uintptr_t start = top ? top : (uintptr_t)&__heap_base;
  uintptr_t room = __builtin_wasm_memory_size(0) * PAGE - start;
  if (size > room && __builtin_wasm_memory_grow(0, (size - room - 1) / PAGE + 1) == SIZE_MAX)
    __builtin_trap();
  top = start + size;
  return (void *)start;
}

EXPORT(malloc) void *nri_malloc(size_t size) {
  in_use++;
  return take(size);
}

EXPORT(free) void nri_free(void *p) {
  if (p && in_use && --in_use == 0)
    top = 0;
}

// --- Protobuf ---------------------------------------------------------------

// malformed is set for good by the first byte that is not protobuf, and then the
// request is not judged.
static bool malformed;

static bool fail(text *message) {
  malformed = true;
  message->at = message->end;
  return false;
}

static uint64_t varint(text *message) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && message->at < message->end; shift += 7) {
    uint8_t byte = *message->at++;
    if (shift == 63 && byte > 1)
      break;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80)
      return value;
  }
  return fail(message);
}

static bool cut(text *message, uint64_t size, text *piece) {
  if (size > length(*message))
    return fail(message);
  *piece = (text){message->at, message->at + size};
  message->at += size;
  return true;
}

// next moves on to the next field of that number, which has to be a string or a
// message. It is false at the end of the message.
static bool next(text *message, uint32_t number, text *value) {
  while (message->at < message->end) {
    uint64_t tag = varint(message);
    bool wanted = tag >> 3 == number;
    if (tag >> 3 == 0 || tag >> 3 >= 1 << 29)
      return fail(message);
    switch (tag & 7) {
    case 0:
      varint(message);
      break;
    case 1:
      cut(message, 8, value);
      break;
    case 2:
      if (cut(message, varint(message), value) && wanted)
        return true;
      continue;
    case 5:
      cut(message, 4, value);
      break;
    default:
      return fail(message);
    }
    if (wanted)
      return fail(message);
  }
  return false;
}

// string is a field that there is once; of several the last one counts.
static text string(text message, uint32_t number) {
  text value, last = {0, 0};
  while (next(&message, number, &value))
    last = value;
  return last;
}

// --- The answer -------------------------------------------------------------

#define NAMED 10 // objections that are named; of more it is only said that there are

typedef struct {
  uint8_t *start;
  int objections;
} answer;

static void append(text t) {
  uint8_t *to = take(length(t));
  while (t.at < t.end)
    *to++ = *t.at++;
}

static void object(answer *a, text before, text name, text after) {
  if (a->objections++ == 0) {
    a->start = nri_malloc(0);
    append(TEXT("\x08\x01\x12\0\0\0\0")); // reject: true, reason: its length is put in by finish
  } else if (a->objections <= NAMED + 1) {
    append(TEXT("; "));
  }
  if (a->objections <= NAMED) {
    append(before);
    append(name);
    append(after);
  } else if (a->objections == NAMED + 1) {
    append(TEXT("and more"));
  }
}

static uint64_t result(const uint8_t *start, size_t size) {
  return (uint64_t)(uintptr_t)start << 32 | size;
}

static uint64_t finish(answer *a) {
  if (a->objections == 0)
    return 0; // an empty response allows
  size_t size = (uint8_t *)top - a->start, reason = size - 7;
  for (int i = 3; i < 7; i++, reason >>= 7) // a varint of four bytes, whatever the length
    a->start[i] = (reason & 0x7f) | (i < 6 ? 0x80 : 0);
  return result(a->start, size);
}

static uint64_t error(text message) {
  uint8_t *start = nri_malloc(0);
  append(message);
  return result(start, length(message) | 1u << 31);
}

// --- The rules --------------------------------------------------------------

static bool equal(text a, text b) {
  if (length(a) != length(b))
    return false;
  while (a.at < a.end)
    if (*a.at++ != *b.at++)
      return false;
  return true;
}

static bool is_removal(text name) { return length(name) > 0 && name.at[0] == '-'; }

// read_only reads the options in order, as the OCI runtime does: the last word wins,
// recursive attributes come after all others. Options that are glued together with
// commas can only make a mount writable.
static bool read_only(text mount) {
  bool ro = false, rro = false, rrw = false;
  text option;
  while (next(&mount, 4, &option)) {
    if (equal(option, TEXT("ro")))
      ro = true;
    if (equal(option, TEXT("rro")))
      rro = true, rrw = false;
    while (option.at <= option.end) {
      text word = {option.at, option.at};
      while (word.end < option.end && *word.end != ',')
        word.end++;
      if (equal(word, TEXT("rw")))
        ro = false;
      if (equal(word, TEXT("rrw")))
        rro = false, rrw = true;
      option.at = word.end + 1;
    }
  }
  return rro || (ro && !rrw);
}

static void judge_mount(text mount, answer *a) {
  text destination = string(mount, 1);
  if (!is_removal(destination) && !read_only(mount))
    object(a, TEXT("mount "), destination, TEXT(" is not read-only"));
}

static const text secrets[] = {
    TEXT("TOKEN"),       TEXT("SECRET"),  TEXT("PASSWORD"),    TEXT("PASSWD"),     TEXT("PASSPHRASE"),
    TEXT("CREDENTIALS"), TEXT("API_KEY"), TEXT("PRIVATE_KEY"), TEXT("SECRET_KEY"), TEXT("ACCESS_KEY"),
};

static uint8_t upper(uint8_t c) { return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c; }

static bool ends_with(text name, text suffix) {
  if (length(name) < length(suffix))
    return false;
  while (suffix.end > suffix.at)
    if (upper(*--name.end) != *--suffix.end)
      return false;
  return true;
}

static void judge_variable(text variable, answer *a) {
  text key = string(variable, 1), name = {key.at, key.at};
  while (name.end < key.end && *name.end != '=') // behind it the value would begin
    name.end++;
  if (is_removal(name))
    return;
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
    if (ends_with(name, secrets[i])) {
      object(a, TEXT("variable "), name, TEXT(" is named like a secret"));
      return;
    }
}

static void judge_each(text request, uint32_t field, void judge(text, answer *), answer *a) {
  text adjust, element;
  while (next(&request, 3, &adjust))
    while (next(&adjust, field, &element))
      judge(element, a);
}

EXPORT(plugin_validate_container_adjustment)
uint64_t validate(const uint8_t *ptr, size_t size) {
  text request = {ptr, ptr + size};
  answer a = {0, 0};
  malformed = false;
  judge_each(request, 3, judge_mount, &a);
  judge_each(request, 4, judge_variable, &a);
  return malformed ? error(TEXT("the request is malformed")) : finish(&a);
}
