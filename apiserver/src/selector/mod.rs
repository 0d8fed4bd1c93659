//! Decides which objects a list or watch shows: label selectors over `metadata.labels`, field selectors over the few
//! paths that a kind declares. Both read Kubernetes' syntax and print its canonical text; neither reads the store.

pub mod field;
pub mod label;
