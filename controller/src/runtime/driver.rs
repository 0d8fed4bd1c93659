//! Drives one object to its goal once: finalizer, then rounds of observe, plan and apply until nothing is left to do,
//! then the report. Everything is decided from what is observed now; nothing is remembered between two runs.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use super::clock::Clock;
use super::difference::merge_patch;
use super::failure::{Failure, chain, is_not_found};
use super::kind::{Account, Goal, Kind, Plan};
use super::metrics::Metrics;
use super::queue::{Attempt, Next};
use super::recorder::Recorder;
use super::store::{Key, Store, uid_of};

/// More rounds than any goal needs. Beyond, a plan contradicts itself, and the pause keeps that from burning a core.
const MOST_ROUNDS: usize = 12;
/// The pause after somebody else wrote meanwhile.
const STALE_PAUSE: Duration = Duration::from_millis(20);

/// What the driver works with.
#[derive(Clone)]
pub(crate) struct Driver<K: Kind> {
    pub(crate) kind: Arc<K>,
    pub(crate) client: Client,
    pub(crate) store: Arc<Store<K::Object>>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
}

/// How a run of rounds ended.
struct Course<K: Kind> {
    object: Arc<K::Object>,
    observed: Option<K::Observed>,
    plan: Option<Plan<K::Step>>,
    failure: Option<Failure>,
}

impl<K: Kind> Driver<K> {
    /// Drives the object of this key, and says when to look again.
    pub(crate) async fn reconcile(&self, key: &Key, attempt: Attempt) -> Next {
        let Some(object) = self.store.get(&key.namespace, &key.name) else { return Next::Settled };
        match self.drive(object, attempt).await {
            Ok(next) => next,
            Err(Failure::Stale) => self.refresh(key).await,
            Err(Failure::Api { source, .. }) if is_not_found(&source) => self.refresh(key).await,
            Err(failure) => {
                tracing::warn!(error = chain(&failure), "the object could not be written");
                Next::Retry
            }
        }
    }

    async fn drive(&self, object: Arc<K::Object>, attempt: Attempt) -> Result<Next, Failure> {
        let goal = if object.meta().deletion_timestamp.is_some() { Goal::Absent } else { Goal::Present };
        let ours = object.finalizers().iter().any(|name| name == crds::FINALIZER);
        let object = match (goal, ours) {
            (Goal::Absent, false) => return Ok(Next::Settled),
            (Goal::Present, false) => {
                let mut finalizers = object.finalizers().to_vec();
                finalizers.push(crds::FINALIZER.to_owned());
                self.write_finalizers(&object, &finalizers).await?
            }
            _ => object,
        };

        let Course { object, observed, plan, failure } = self.rounds(goal, object, attempt).await?;
        if goal == Goal::Absent && failure.is_none() && plan.as_ref().is_some_and(is_reached) {
            let finalizers: Vec<_> =
                object.finalizers().iter().filter(|name| *name != crds::FINALIZER).cloned().collect();
            self.write_finalizers(&object, &finalizers).await?;
            self.kind.forget(uid_of(object.as_ref()));
            return Ok(Next::Settled);
        }
        self.report(goal, &object, observed.as_ref(), plan.as_ref(), failure.as_ref()).await?;

        if let Some(failure) = failure {
            tracing::debug!(error = chain(&failure), "the goal was not reached");
            return Ok(Next::Retry);
        }
        let plan = plan.unwrap_or_default();
        if !plan.steps.is_empty() {
            tracing::warn!(steps = plan.steps.len(), "the plan does not come to an end");
            return Ok(Next::Retry);
        }
        Ok(match plan.look_again {
            Some(time) => Next::After(until(self.clock.now(), time)),
            None => Next::Settled,
        })
    }

    /// Observes, plans and applies until nothing is left to do, or something fails.
    async fn rounds(&self, goal: Goal, object: Arc<K::Object>, attempt: Attempt) -> Result<Course<K>, Failure> {
        let mut course = Course { object, observed: None, plan: None, failure: None };
        for _ in 0..MOST_ROUNDS {
            let observed = match self.kind.observe(goal, &course.object).await {
                Ok(observed) => observed,
                Err(failure) if failure.is_api() => return Err(failure),
                Err(failure) => return Ok(Course { failure: Some(failure), observed: None, plan: None, ..course }),
            };
            let plan = self.kind.plan(goal, &course.object, &observed);
            let (steps, last) = (plan.steps.clone(), plan.last);
            let tells = plan.tell || plan.slow && (attempt == Attempt::First || !is_told(course.object.as_ref()));
            if tells
                && let Some(written) = self.report(goal, &course.object, Some(&observed), Some(&plan), None).await?
            {
                course.object = written;
            }
            course.observed = Some(observed);
            course.plan = Some(plan);
            if steps.is_empty() {
                break;
            }
            let mut applied = 0_usize;
            for step in &steps {
                match self.kind.apply(&course.object, step).await {
                    Ok(done) => {
                        applied += 1;
                        self.metrics.stepped(K::NAME);
                        if let Some(written) = done.object {
                            self.store.remember(written.clone());
                            course.object = Arc::new(written);
                        }
                        if let Some(note) = done.note {
                            tracing::info!(reason = note.reason, detail = note.message, "changed the real world");
                            self.recorder.tell(course.object.as_ref(), note);
                        }
                    }
                    Err(failure) if failure.is_api() => return Err(failure),
                    Err(failure) => {
                        // What it told on the way has changed the object: the report goes on from there.
                        if let Some(told) = self.told(&course.object) {
                            course.object = told;
                        }
                        course.failure = Some(failure);
                        break;
                    }
                }
            }
            if last && course.failure.is_none() {
                if let Some(plan) = &mut course.plan {
                    plan.steps.clear();
                }
                break;
            }
            if course.failure.is_some() {
                // The report tells what is, not what was before the steps that did succeed.
                if applied > 0
                    && let Ok(observed) = self.kind.observe(goal, &course.object).await
                {
                    course.observed = Some(observed);
                }
                break;
            }
        }
        Ok(course)
    }

    /// The object as it was last told, if it is the same but for its status.
    fn told(&self, object: &K::Object) -> Option<Arc<K::Object>> {
        let now = self.store.get(&object.namespace().unwrap_or_default(), &object.name_any())?;
        let same = |object: &K::Object| {
            let meta = object.meta();
            (meta.uid.clone(), meta.generation, meta.deletion_timestamp.clone(), meta.finalizers.clone())
        };
        (same(&now) == same(object)).then_some(now)
    }

    /// Writes the status if it says something new. Gives the object where it was written.
    async fn report(
        &self,
        goal: Goal,
        object: &Arc<K::Object>,
        observed: Option<&K::Observed>,
        plan: Option<&Plan<K::Step>>,
        failure: Option<&Failure>,
    ) -> Result<Option<Arc<K::Object>>, Failure> {
        let account = Account { goal, object: object.as_ref(), observed, plan, failure, now: self.clock.now() };
        let report = self.kind.report(&account);
        for note in report.notes {
            self.recorder.tell(object.as_ref(), note);
        }
        let old = serde_json::to_value(object.as_ref())
            .ok()
            .and_then(|mut value| value.get_mut("status").map(Value::take))
            .unwrap_or_else(|| json!({}));
        let new = serde_json::to_value(&report.status).unwrap_or_else(|_| json!({}));
        let Some(status) = merge_patch(&old, &new) else { return Ok(None) };
        let body = json!({"metadata": {"resourceVersion": object.resource_version()}, "status": status});
        let written = self
            .api(object)
            .patch_status(&object.name_any(), &PatchParams::default(), &Patch::Merge(body))
            .await
            .map_err(Failure::api("write the status"))?;
        self.store.remember(written.clone());
        Ok(Some(Arc::new(written)))
    }

    async fn write_finalizers(&self, object: &K::Object, finalizers: &[String]) -> Result<Arc<K::Object>, Failure> {
        let body = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": finalizers}});
        let written = self
            .api(object)
            .patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(body))
            .await
            .map_err(Failure::api("write the finalizers"))?;
        self.store.remember(written.clone());
        Ok(Arc::new(written))
    }

    /// Reads the object anew: what is in the store was too old to write.
    async fn refresh(&self, key: &Key) -> Next {
        let api = K::api(self.client.clone(), &key.namespace);
        match api.get_opt(&key.name).await {
            Ok(Some(object)) => {
                self.store.remember(object);
                Next::After(STALE_PAUSE)
            }
            // The watch will tell.
            Ok(None) => Next::Settled,
            Err(error) => {
                tracing::debug!(error = chain(&error), "the object could not be read");
                Next::Retry
            }
        }
    }

    fn api(&self, object: &K::Object) -> Api<K::Object> {
        K::api(self.client.clone(), &object.namespace().unwrap_or_default())
    }
}

/// Whether the status tells about this very spec.
fn is_told<Object: Resource + Serialize>(object: &Object) -> bool {
    let observed = serde_json::to_value(object).ok().and_then(|value| value["status"]["observedGeneration"].as_i64());
    observed.is_some() && observed == object.meta().generation
}

fn is_reached<Step>(plan: &Plan<Step>) -> bool {
    plan.steps.is_empty() && plan.waiting.is_none()
}

fn until(now: jiff::Timestamp, time: jiff::Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or_default()
}
