//! Any bytes as every message of Teleport: whatever can be read is read, and nothing fails.

#![no_main]

use libfuzzer_sys::fuzz_target;
use teleport_msteams::teleport::read_anything;

fuzz_target!(|bytes: &[u8]| {
    read_anything(bytes);
});
