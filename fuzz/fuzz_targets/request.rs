//! libFuzzer's way to [`apiserver::fuzzing::request`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| apiserver::fuzzing::request(data));

#[cfg(not(fuzzing))]
fn main() {}
