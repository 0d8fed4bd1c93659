//! libFuzzer's way to [`apiserver::fuzzing::merge_patch`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| apiserver::fuzzing::merge_patch(data));

#[cfg(not(fuzzing))]
fn main() {}
