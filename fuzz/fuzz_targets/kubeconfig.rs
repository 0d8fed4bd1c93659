//! libFuzzer's way to [`cloudctl::fuzzing::kubeconfig`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloudctl::fuzzing::kubeconfig(data));

#[cfg(not(fuzzing))]
fn main() {}
