//! A validator for NRI: mounts that plugins add are read-only, and no variable that
//! they set is named like a secret. See README.md for the rules.
//!
//! It uses Rust's standard library and no crate. The three functions at the end are
//! NRI's ABI; between them and the rules lies all that is needed of protobuf.

use std::alloc::{self, Layout};

// --- Protobuf ---------------------------------------------------------------

/// What is not protobuf. A request that has it is not judged.
struct Malformed;

/// What is left to be read of a message.
#[derive(Clone, Copy)]
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(first)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn cut(&mut self, size: u64) -> Result<&'a [u8], Malformed> {
        if size > self.0.len() as u64 {
            return Err(Malformed);
        }
        let (piece, rest) = self.0.split_at(size as usize);
        self.0 = rest;
        Ok(piece)
    }

    /// The next field of that number, which has to be a string or a message; None at
    /// the end of the message.
    fn next(&mut self, number: u64) -> Result<Option<&'a [u8]>, Malformed> {
        while !self.0.is_empty() {
            let tag = self.varint()?;
            if tag >> 3 == 0 || tag >> 3 >= 1 << 29 {
                return Err(Malformed);
            }
            let mut value = None;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.cut(8)?),
                2 => {
                    let size = self.varint()?;
                    value = Some(self.cut(size)?);
                }
                5 => drop(self.cut(4)?),
                _ => return Err(Malformed),
            }
            if tag >> 3 == number {
                return value.ok_or(Malformed).map(Some);
            }
        }
        Ok(None)
    }

    /// A field that there is once; of several the last one counts.
    fn string(mut self, number: u64) -> Result<&'a [u8], Malformed> {
        let mut last: &[u8] = &[];
        while let Some(value) = self.next(number)? {
            last = value;
        }
        Ok(last)
    }
}

// --- The rules --------------------------------------------------------------

const SECRETS: [&[u8]; 10] = [
    b"TOKEN",
    b"SECRET",
    b"PASSWORD",
    b"PASSWD",
    b"PASSPHRASE",
    b"CREDENTIALS",
    b"API_KEY",
    b"PRIVATE_KEY",
    b"SECRET_KEY",
    b"ACCESS_KEY",
];

fn is_removal(name: &[u8]) -> bool {
    name.first() == Some(&b'-')
}

/// Reads the options in order, as the OCI runtime does: the last word wins, recursive
/// attributes come after all others. Options that are glued together with commas can
/// only make a mount writable.
fn read_only(mut mount: Message) -> Result<bool, Malformed> {
    let (mut read_only, mut recursive) = (false, None);
    while let Some(option) = mount.next(4)? {
        match option {
            b"ro" => read_only = true,
            b"rro" => recursive = Some(true),
            _ => {
                for word in option.split(|&c| c == b',') {
                    match word {
                        b"rw" => read_only = false,
                        b"rrw" => recursive = Some(false),
                        _ => {}
                    }
                }
            }
        }
    }
    Ok(recursive.unwrap_or(read_only))
}

fn is_secret(name: &[u8]) -> bool {
    SECRETS.iter().any(|suffix| {
        name.len() >= suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
    })
}

fn judge_mount(mount: Message, answer: &mut Answer) -> Result<(), Malformed> {
    let destination = mount.string(1)?;
    if !is_removal(destination) && !read_only(mount)? {
        answer.object(b"mount ", destination, b" is not read-only");
    }
    Ok(())
}

fn judge_variable(variable: Message, answer: &mut Answer) -> Result<(), Malformed> {
    let key = variable.string(1)?;
    // Behind an equals sign the value would begin.
    let name = key.split(|&c| c == b'=').next().unwrap_or_default();
    if !is_removal(name) && is_secret(name) {
        answer.object(b"variable ", name, b" is named like a secret");
    }
    Ok(())
}

fn judge(request: &[u8]) -> Result<Answer, Malformed> {
    let mut answer = Answer::default();
    let rules: [(u64, fn(Message, &mut Answer) -> Result<(), Malformed>); 2] =
        [(3, judge_mount), (4, judge_variable)];
    for (field, rule) in rules {
        let mut request = Message(request);
        while let Some(adjust) = request.next(3)? {
            let mut adjust = Message(adjust);
            while let Some(element) = adjust.next(field)? {
                rule(Message(element), &mut answer)?;
            }
        }
    }
    Ok(answer)
}

// --- The answer -------------------------------------------------------------

/// Objections that are named; of more it is only said that there are.
const NAMED: usize = 10;

#[derive(Default)]
struct Answer(Vec<Vec<u8>>);

impl Answer {
    fn object(&mut self, before: &[u8], name: &[u8], after: &[u8]) {
        match self.0.len() {
            n if n < NAMED => self.0.push([before, name, after].concat()),
            NAMED => self.0.push(b"and more".to_vec()),
            _ => {}
        }
    }

    /// An empty response allows.
    fn encode(self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let reason = self.0.join(&b"; "[..]);
        let mut response = b"\x08\x01\x12".to_vec(); // reject: true, reason:
        let mut size = reason.len();
        while size >= 0x80 {
            response.push(size as u8 | 0x80);
            size >>= 7;
        }
        response.push(size as u8);
        response.extend(reason);
        response
    }
}

// --- NRI's ABI --------------------------------------------------------------

/// Memory is handed out with its size in front, so that free knows it.
const HEADER: usize = 4;

fn layout(size: usize) -> Layout {
    let size = size.checked_add(HEADER).unwrap_or_else(|| std::process::abort());
    Layout::from_size_align(size, HEADER).unwrap_or_else(|_| std::process::abort())
}

#[no_mangle]
pub extern "C" fn malloc(size: usize) -> *mut u8 {
    let layout = layout(size);
    unsafe {
        let start = alloc::alloc(layout);
        if start.is_null() {
            alloc::handle_alloc_error(layout);
        }
        start.cast::<usize>().write(size);
        start.add(HEADER)
    }
}

/// # Safety
///
/// The pointer is null or comes from malloc.
#[no_mangle]
pub unsafe extern "C" fn free(pointer: *mut u8) {
    if !pointer.is_null() {
        let start = pointer.sub(HEADER);
        alloc::dealloc(start, layout(start.cast::<usize>().read()));
    }
}

/// The host gives the memory back with free.
fn give(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return 0;
    }
    let pointer = malloc(bytes.len());
    unsafe { pointer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    (pointer as u64) << 32 | bytes.len() as u64
}

/// # Safety
///
/// The host has written the request to memory that it had from malloc.
#[no_mangle]
pub unsafe extern "C" fn plugin_validate_container_adjustment(ptr: *const u8, size: usize) -> u64 {
    let request = match size {
        0 => &[],
        _ => std::slice::from_raw_parts(ptr, size),
    };
    match judge(request) {
        Ok(answer) => give(&answer.encode()),
        Err(Malformed) => give(b"the request is malformed") | 1 << 31,
    }
}
