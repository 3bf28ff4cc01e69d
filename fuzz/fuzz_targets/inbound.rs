//! Any bytes as a request of Microsoft Teams: the header is refused or understood, the body too, and nothing fails.

#![no_main]

use libfuzzer_sys::fuzz_target;
use teleport_msteams::msteams::inbound::read_anything;

fuzz_target!(|bytes: &[u8]| {
    read_anything(bytes);
});
