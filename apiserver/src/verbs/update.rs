//! Replaces objects: the whole, or the status alone.

use bytes::Bytes;
use http::StatusCode;

use super::write::{Owners, Part, Proposal, revise};
use super::{Call, create};
use crate::admission::{decode, fields, metadata};
use crate::error::{ApiError, Reason};
use crate::query::WriteKind;
use crate::response::Answer;

/// `PUT .../{name}` and `PUT .../{name}/status`
pub(crate) async fn update(call: &Call, body: Bytes, part: Part) -> Result<Answer, ApiError> {
    call.check_named()?;
    let options = call.write_options(WriteKind::Update)?;
    let mut decoded = decode::object(&call.served, call.content_type.as_deref(), &body)?;
    let findings = fields::prune(&call.served, &mut decoded.value, &decoded.duplicates, &body);
    options.warnings.say(findings.judge(&call.served, options.validation)?);
    let mut value = decoded.value;
    metadata::place(&call.served, &call.path.namespace, &mut value)?;
    metadata::check_name(&value, &call.path.name)?;
    let meta = metadata::of(&mut value)?;
    options.warnings.say(metadata::drop_repeated_owners(meta, ""));
    let uid = meta.get("uid").and_then(|uid| uid.as_str()).filter(|uid| !uid.is_empty()).map(str::to_owned);

    if part == Part::Object && call.served.kind.behaviour.creates_on_update {
        loop {
            call.state.refresh().await?;
            if call.state.storage().get(&call.key(&call.path.name)).is_some() {
                break;
            }
            if let Some(uid) = &uid {
                return Err(call.other_uid(uid, ""));
            }
            call.permit("create")?;
            let mut value = value.clone();
            metadata::of(&mut value)?.remove("resourceVersion");
            let wish = create::Wish { value, owners: Owners::Followed };
            let author = call.author(&options);
            match create::make(&call.state, &call.served, &call.path.namespace, wish, &options, &author).await {
                // Somebody else was faster: there is something to replace.
                Err(error) if error.reason == Reason::AlreadyExists => {}
                made => return made?.present_made(call).await,
            }
        }
    }
    let written = revise(call, &options, |current| {
        let present = current.uid.to_string();
        if let Some(uid) = uid.as_ref().filter(|uid| **uid != present) {
            return Err(call.other_uid(uid, &present));
        }
        Ok(Proposal { value: value.clone(), part, owners: Owners::Followed })
    })
    .await?;
    written.present(call, StatusCode::OK)
}
