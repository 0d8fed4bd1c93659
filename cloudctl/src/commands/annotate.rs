//! `annotate`: sets and removes annotations.

use super::label::{self, Field};
use crate::args::Global;
use crate::args::objects::AnnotateArgs;
use crate::error::Error;
use crate::output::Screen;

/// Sets annotations.
pub(super) async fn run(args: &AnnotateArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let field = Field { name: "annotations", entry: "annotation", done: "annotated", manager: "cloudctl-annotate" };
    label::change(&args.words, args.overwrite, field, global, screen).await
}
