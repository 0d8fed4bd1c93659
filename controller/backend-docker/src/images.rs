//! Images on the host and from registries. Registries tell why by text alone, read in `classify`.

use std::sync::Arc;

use async_trait::async_trait;
use bollard::errors::Error as DockerError;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use controller_backend::{Error, Image, Images, PullError};
use futures::StreamExt;

use crate::engine::Engine;
use crate::error::{message, translate};
use crate::labels;

pub(crate) struct DockerImages {
    engine: Arc<Engine>,
}

impl DockerImages {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Images for DockerImages {
    async fn resolve(&self, reference: &str) -> Result<Option<Image>, Error> {
        let Some(image) = inspect(&self.engine, reference).await? else { return Ok(None) };
        // It may be another namespace's: who may have it names it in another way.
        let marks = image.config.as_ref().and_then(|config| config.labels.as_ref());
        Ok(if marks.is_some_and(labels::is_snapshot) { None } else { Some(describe(image)) })
    }

    async fn pull(&self, reference: &str) -> Result<Image, PullError> {
        let failed = |source| PullError::Backend { reference: reference.to_owned(), source };
        let (name, tag) = split(reference);
        let options = CreateImageOptionsBuilder::default().from_image(name).tag(tag).build();
        let client = self.engine.client().await.map_err(failed)?;
        let mut progress = client.create_image(Some(options), None, None);
        while let Some(step) = progress.next().await {
            match step {
                Ok(step) => {
                    if let Some(text) = step.error_detail.and_then(|detail| detail.message) {
                        return Err(classify(reference, DockerError::DockerStreamError { error: text }));
                    }
                }
                Err(error) => return Err(classify(reference, error)),
            }
        }
        let pulled = self.resolve(reference).await.map_err(failed)?;
        pulled.ok_or_else(|| PullError::NoSuchImage { reference: reference.to_owned() })
    }
}

/// What Docker knows of an image by this name, if it has one.
pub(crate) async fn inspect(engine: &Engine, reference: &str) -> Result<Option<ImageInspect>, Error> {
    if !is_reference(reference) {
        return Err(Error::invalid(format!("`{reference}` is no reference of an image, such as `nginx:1.27`")));
    }
    match engine.client().await?.inspect_image(reference).await {
        Ok(image) => Ok(Some(image)),
        Err(error) if matches!(message(&error), Some((404, _))) => Ok(None),
        Err(error) => {
            let what = format!("image `{reference}`");
            Err(translate(&what, &format!("inspect {what}"), error))
        }
    }
}

/// Whether it can be the name or id of an image. It becomes a part of a path: what leads out of there would ask Docker for
/// something else, such as its events, which never end, or all of a container's files.
fn is_reference(text: &str) -> bool {
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || "._-/:@[]".contains(letter);
    text.chars().all(is_known) && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// What Docker tells of an image.
pub(crate) fn describe(image: ImageInspect) -> Image {
    let config = image.config.unwrap_or_default();
    let mut exposed_ports = config.exposed_ports.unwrap_or_default();
    exposed_ports.sort_unstable();
    Image {
        id: image.id.unwrap_or_default(),
        size_bytes: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        exposed_ports,
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
    }
}

/// Name and tag (or digest). Without a tag Docker would fetch every one that there is.
fn split(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name, digest);
    }
    match reference.rsplit_once(':') {
        // A colon before the last slash is a registry's port.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

fn classify(reference: &str, error: DockerError) -> PullError {
    let reference = reference.to_owned();
    let text = match &error {
        DockerError::DockerStreamError { error } => error.as_str(),
        other => message(other).map(|(_, text)| text).unwrap_or_default(),
    };
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["manifest unknown", "name unknown", "repository name not known"]) || text.ends_with("not found") {
        PullError::NoSuchImage { reference }
    } else if says(&["access denied", "unauthorized", "authentication required", "no basic auth", "denied:"]) {
        PullError::Denied { reference }
    } else if says(&[
        "dial tcp",
        "no such host",
        "connection refused",
        "connection reset",
        "i/o timeout",
        "Client.Timeout",
        "request canceled",
        "TLS handshake",
        "x509:",
        "proxyconnect",
        "unexpected EOF",
        "toomanyrequests",
        "503 Service Unavailable",
    ]) || text.ends_with("EOF")
    {
        PullError::Unreachable { reference, source: error.into() }
    } else {
        let what = format!("image `{reference}`");
        PullError::Backend { source: translate(&what, &format!("pull {what}"), error), reference }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_into_name_and_tag() {
        assert_eq!(split("nginx"), ("nginx", "latest"));
        assert_eq!(split("nginx:1.27"), ("nginx", "1.27"));
        assert_eq!(split("registry.example:5000/team/web"), ("registry.example:5000/team/web", "latest"));
        assert_eq!(split("registry.example:5000/team/web:2"), ("registry.example:5000/team/web", "2"));
        assert_eq!(split("nginx@sha256:0123"), ("nginx", "sha256:0123"));
    }

    #[test]
    fn what_leads_to_another_question_is_no_reference() {
        for reference in
            ["nginx", "registry.example:5000/team/web:2", "[fd00::1]:5000/web", "nginx@sha256:0123", "a..b"]
        {
            assert!(is_reference(reference), "{reference}");
        }
        for text in
            ["", ".", "..", "../events", "a/../../info", "web?", "web#", "%2e%2e/info", "a//b", "/a", "a\\b", "a b"]
        {
            assert!(!is_reference(text), "{text}");
        }
    }

    #[test]
    fn registries_answers_are_told_apart() {
        let pull = |message: &str| {
            classify("web:1", DockerError::DockerResponseServerError { status_code: 500, message: message.to_owned() })
        };
        let missing = "manifest for web:1 not found: manifest unknown: manifest unknown";
        assert!(matches!(pull(missing), PullError::NoSuchImage { .. }));
        let denied = "pull access denied for web, repository does not exist or may require 'docker login': denied: \
                      requested access to the resource is denied";
        assert!(matches!(pull(denied), PullError::Denied { .. }));
        let lost = "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.0.0.2:53: \
                    no such host";
        assert!(matches!(pull(lost), PullError::Unreachable { .. }));
        let slow = "Get \"https://registry-1.docker.io/v2/\": net/http: request canceled while waiting for connection \
                    (Client.Timeout exceeded while awaiting headers)";
        assert!(matches!(pull(slow), PullError::Unreachable { .. }));
        assert!(matches!(pull("no space left on device"), PullError::Backend { .. }));
    }
}
