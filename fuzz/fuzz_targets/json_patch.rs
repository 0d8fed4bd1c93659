//! libFuzzer's way to [`apiserver::fuzzing::json_patch`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| apiserver::fuzzing::json_patch(data));

#[cfg(not(fuzzing))]
fn main() {}
