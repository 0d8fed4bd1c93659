//! Joins the apiserver's port for data without an object to the controllers' work, in the one process that has both.
//! Translates words; decides nothing.

use std::sync::OnceLock;

use apiserver::{Adopted, Adoption, Orphan, OrphanError, Orphans};
use async_trait::async_trait;
use controller::orphans::OrphanError as Why;
use uuid::Uuid;

/// Answers from the controllers' backend, once the apiserver is there that the controllers reach objects through.
#[derive(Default)]
pub(crate) struct BackendOrphans(OnceLock<controller::orphans::Orphans>);

impl BackendOrphans {
    /// From now on it can answer.
    pub(crate) fn begin(&self, orphans: controller::orphans::Orphans) {
        // There is one apiserver, which starts once.
        let _ = self.0.set(orphans);
    }

    fn inner(&self) -> Result<&controller::orphans::Orphans, OrphanError> {
        self.0.get().ok_or_else(|| OrphanError::Unavailable("the controllers have not started yet".to_owned()))
    }
}

#[async_trait]
impl Orphans for BackendOrphans {
    async fn list(&self) -> Result<Vec<Orphan>, OrphanError> {
        let orphans = self.inner()?.list().await.map_err(refusal)?;
        Ok(orphans.into_iter().map(told).collect())
    }

    async fn adopt(&self, uid: &str, adoption: Adoption) -> Result<Adopted, OrphanError> {
        let Adoption { namespace, name } = adoption;
        let wish = controller::orphans::Adoption { namespace, name };
        let adopted = self.inner()?.adopt(parse(uid)?, &wish).await.map_err(refusal)?;
        Ok(Adopted { of: adopted.kind, namespace: adopted.namespace, name: adopted.name })
    }

    async fn purge(&self, uid: &str) -> Result<Orphan, OrphanError> {
        self.inner()?.purge(parse(uid)?).await.map(told).map_err(refusal)
    }
}

fn parse(uid: &str) -> Result<Uuid, OrphanError> {
    uid.parse()
        .map_err(|_| OrphanError::NotFound(format!("`{uid}` is no uid: `cloudctl admin orphans list` shows them")))
}

fn told(orphan: controller::orphans::Orphan) -> Orphan {
    Orphan {
        size: orphan.size().0,
        taken_at: orphan.taken_at.map(|taken| taken.to_string()),
        backend: orphan.backend().map(|backend| backend.as_str().to_owned()),
        of: orphan.owner.kind,
        namespace: orphan.owner.namespace,
        name: orphan.owner.name,
        uid: orphan.owner.uid.to_string(),
        retained: orphan.retained,
        claimed_by: orphan.claimed_by,
    }
}

/// An error of the controllers, in words for the user.
fn refusal(error: Why) -> OrphanError {
    let text = error.to_string();
    match error {
        Why::Missing { .. } => OrphanError::NotFound(text),
        Why::Owned { .. } | Why::Claimed { .. } => OrphanError::Conflict(text),
        Why::Backend { source, .. } if source.as_conflict().is_some() => {
            OrphanError::Conflict(format!("failed to {text}: {source}"))
        }
        Why::Api { source, .. } => match *source {
            kube::Error::Api(status) => OrphanError::Refused(status.message.clone()),
            other => unavailable(&text, &other),
        },
        Why::Backend { source, .. } => unavailable(&text, &source),
        _ => OrphanError::Unavailable(text),
    }
}

fn unavailable(action: &str, error: &(dyn std::error::Error + 'static)) -> OrphanError {
    tracing::warn!(error, action, "data without an object could not be decided about");
    OrphanError::Unavailable(format!("failed to {action}: {error}"))
}
