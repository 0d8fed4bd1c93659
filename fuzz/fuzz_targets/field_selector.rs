//! libFuzzer's way to [`apiserver::fuzzing::field_selector`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| apiserver::fuzzing::field_selector(data));

#[cfg(not(fuzzing))]
fn main() {}
