//! libFuzzer's way to [`apiserver::fuzzing::apply`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| apiserver::fuzzing::apply(data));

#[cfg(not(fuzzing))]
fn main() {}
