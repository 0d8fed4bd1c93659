//! Decides what an object's conditions say: whether it is in the state that is waited for, and if not, why. Plain functions.

use serde_json::Value;

/// Whether something is so, and the reason when it is not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is.
    Met,
    /// Not yet, because.
    NotYet(String),
}

/// Whether a condition has a value, and tells about the present spec, not about an older one.
pub(crate) fn condition(object: &Value, name: &str, wanted: &str) -> Verdict {
    let Some(found) = find(object, name) else {
        return Verdict::NotYet(match (summary(object), has_conditions(object)) {
            (None, _) => "no controller has taken it up yet".to_owned(),
            (Some(summary), false) => summary,
            (Some(summary), true) => format!("it has no condition `{name}` ({summary})"),
        });
    };
    let generation = object["metadata"]["generation"].as_i64();
    let observed = found["observedGeneration"].as_i64().or_else(|| object["status"]["observedGeneration"].as_i64());
    if let (Some(generation), Some(observed)) = (generation, observed)
        && observed < generation
    {
        return Verdict::NotYet("the last change has not been taken up yet".to_owned());
    }
    let status = found["status"].as_str().unwrap_or_default();
    if status.eq_ignore_ascii_case(wanted) {
        return Verdict::Met;
    }
    Verdict::NotYet(told(found).unwrap_or_else(|| format!("{name} is {status}")))
}

/// What an object waits for or suffers from, in one line: phase, reason, message.
pub(crate) fn summary(object: &Value) -> Option<String> {
    let phase = object["status"]["phase"].as_str();
    let reason = find(object, "Ready").and_then(told);
    match (phase, reason) {
        // A reason often repeats the phase.
        (Some(phase), Some(reason)) if !reason.starts_with(phase) => Some(format!("{phase}: {reason}")),
        (_, Some(reason)) => Some(reason),
        (phase, _) => phase.map(str::to_owned),
    }
}

/// Why an object needs its user, when it says so.
pub(crate) fn stalled(object: &Value) -> Option<String> {
    let found = find(object, "Stalled")?;
    (found["status"] == "True").then(|| told(found).unwrap_or_else(|| "it needs you".to_owned()))
}

/// Why an object that is being deleted is still there.
pub(crate) fn held(object: &Value) -> String {
    let reason = find(object, "Ready").filter(|found| found["status"] != "True").and_then(told);
    reason.unwrap_or_else(|| {
        let finalizers: Vec<_> =
            object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        // Those of our own controllers stand for what is being removed; nobody else has to do anything.
        let held: Vec<_> = finalizers.into_iter().filter(|name| !name.starts_with("thecloud.dev/")).collect();
        if held.is_empty() { "it is being removed".to_owned() } else { format!("held by {}", held.join(", ")) }
    })
}

fn has_conditions(object: &Value) -> bool {
    object["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty())
}

fn find<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(name)))
}

/// `Reason: message`, or what there is of it.
fn told(condition: &Value) -> Option<String> {
    let part = |key: &str| condition[key].as_str().filter(|text| !text.is_empty());
    match (part("reason"), part("message")) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (Some(text), None) | (None, Some(text)) => Some(text.to_owned()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(status: &str, observed: i64) -> Value {
        json!({"metadata": {"generation": 2}, "status": {"phase": "Pending", "observedGeneration": observed, "conditions": [
            {"type": "Ready", "status": status, "reason": "DependencyMissing", "message": "Volume `x` does not exist"}]}})
    }

    #[test]
    fn condition_is_met_only_for_the_present_generation() {
        assert_eq!(condition(&object("True", 2), "Ready", "True"), Verdict::Met);
        assert_eq!(condition(&object("True", 2), "ready", "true"), Verdict::Met);
        assert!(
            matches!(condition(&object("True", 1), "Ready", "True"), Verdict::NotYet(why) if why.contains("taken up"))
        );
    }

    #[test]
    fn unmet_condition_tells_why() {
        let Verdict::NotYet(why) = condition(&object("False", 2), "Ready", "True") else { panic!("met") };
        assert_eq!(why, "DependencyMissing: Volume `x` does not exist");
        assert_eq!(summary(&object("False", 2)).unwrap(), "Pending: DependencyMissing: Volume `x` does not exist");
    }

    #[test]
    fn object_without_conditions_is_not_ready() {
        let Verdict::NotYet(why) = condition(&json!({"metadata": {}}), "Ready", "True") else { panic!("met") };
        assert_eq!(why, "no controller has taken it up yet");
    }

    #[test]
    fn condition_that_is_none_of_the_objects_is_named() {
        let Verdict::NotYet(why) = condition(&object("False", 2), "Nope", "True") else { panic!("met") };
        assert_eq!(why, "it has no condition `Nope` (Pending: DependencyMissing: Volume `x` does not exist)");
    }

    #[test]
    fn reason_that_repeats_the_phase_is_told_once() {
        let running = json!({"status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "reason": "Running", "message": "It runs."}]}});
        assert_eq!(summary(&running).unwrap(), "Running: It runs.");
    }

    #[test]
    fn held_object_says_by_whom() {
        let object = json!({"metadata": {"finalizers": ["thecloud.dev/real"]}, "status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "InUse", "message": "used by Instances client, web"}]}});
        assert_eq!(held(&object), "InUse: used by Instances client, web");
        assert_eq!(held(&json!({"metadata": {"finalizers": ["a", "b"]}})), "held by a, b");
        assert_eq!(held(&json!({"metadata": {"finalizers": ["thecloud.dev/real"]}})), "it is being removed");
    }
}
