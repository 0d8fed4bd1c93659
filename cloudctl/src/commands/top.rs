//! `top`: what running Instances use of what they were given. Processor time is told as a sum since the start, so that it
//! is asked for twice.

use std::time::Duration;

use crds::quantity::Quantity;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::Value;

use super::targets::{self, Named};
use crate::api::{ApiError, Catalog, Query, Resource, Session};
use crate::args::Global;
use crate::args::instances::TopArgs;
use crate::connect;
use crate::error::Error;
use crate::output::{Screen, table};

/// Between the two looks at one machine.
const APART: Duration = Duration::from_secs(1);
/// Between two tables of `-w`.
const ROUND: Duration = Duration::from_secs(2);
/// Questions at a time.
const AT_A_TIME: usize = 8;

/// A machine and what it was given.
#[derive(Clone, Debug)]
struct Machine {
    named: Named,
    cpu_millis: Option<i128>,
    memory_bytes: Option<u64>,
}

/// What a machine has used.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at: Timestamp,
    cpu_nanoseconds: i128,
    memory_bytes: u64,
}

impl Sample {
    fn read(answer: &Value) -> Option<Self> {
        Some(Self {
            at: answer["timestamp"].as_str()?.parse().ok()?,
            cpu_nanoseconds: answer["cpu"]["usageNanoseconds"].as_i64()?.into(),
            memory_bytes: answer["memory"]["usageBytes"].as_u64()?,
        })
    }

    /// Thousandths of a core between two looks; `None` where no time has passed, or the machine was started anew.
    fn cpu_millis(self, before: Self) -> Option<i128> {
        let passed = self.at.duration_since(before.at).as_nanos();
        let used = self.cpu_nanoseconds - before.cpu_nanoseconds;
        (passed > 0 && used >= 0).then(|| used * 1000 / passed)
    }
}

/// Shows what is used.
pub(super) async fn run(args: &TopArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let instances = catalog.of_word("instances.thecloud.dev")?.clone();
    targets::require(&instances, "metrics", &catalog)?;
    let names = match args.targets.split_first() {
        Some((first, rest)) if catalog.of_word(first).is_ok_and(|kind| kind.plural == instances.plural) => rest,
        _ => &args.targets[..],
    };
    loop {
        let machines = machines(&session, &instances, args, names).await?;
        let before = samples(&session, &machines).await?;
        tokio::time::sleep(APART).await;
        let after = samples(&session, &machines).await?;
        if machines.is_empty() && !args.watch {
            screen.note("No Instance runs.");
            return Ok(());
        }
        if args.watch && screen.interactive() {
            screen.text("\x1b[H\x1b[J")?;
        }
        for line in lines(&machines, &before, &after, args.all_namespaces, screen) {
            screen.line(&line)?;
        }
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(ROUND.saturating_sub(APART)).await;
    }
}

/// Those that run, of the ones asked for.
async fn machines(
    session: &Session,
    instances: &Resource,
    args: &TopArgs,
    names: &[String],
) -> Result<Vec<Machine>, Error> {
    let objects = if names.is_empty() {
        let namespace = (!args.all_namespaces).then(|| session.namespace());
        let query = Query::new().with_set("labelSelector", args.selector.as_deref());
        targets::list(session, instances, namespace, &query).await?
    } else {
        let mut objects = Vec::new();
        for name in names {
            let object = session.get(&instances.object(session.namespace(), name)).await?;
            if object["status"]["phase"] != "Running" {
                let phase = object["status"]["phase"].as_str().unwrap_or("Pending");
                return Err(Error::Failed(format!("Instance `{name}` does not run: it is {phase}")));
            }
            objects.push(object);
        }
        objects
    };
    let runs = |object: &&Value| object["status"]["phase"] == "Running";
    Ok(objects.iter().filter(runs).map(|object| machine(object, instances)).collect())
}

fn machine(object: &Value, instances: &Resource) -> Machine {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let given = &object["status"]["resources"];
    let quantity = |value: &Value| value.as_str().map(|text| Quantity(text.to_owned()));
    Machine {
        named: Named {
            resource: instances.clone(),
            namespace: text(&object["metadata"]["namespace"]),
            name: text(&object["metadata"]["name"]),
        },
        cpu_millis: quantity(&given["cpu"]).and_then(|cpu| cpu.millis().ok()),
        memory_bytes: quantity(&given["memory"]).and_then(|memory| memory.units().ok()),
    }
}

/// What each has used; `None` of one that ended meanwhile.
async fn samples(session: &Session, machines: &[Machine]) -> Result<Vec<Option<Sample>>, Error> {
    let ask = |machine: &Machine| {
        let named = &machine.named;
        let path = named.resource.below(&named.namespace, &named.name, "metrics");
        async move {
            match session.get(&path).await {
                Ok(answer) => Ok(Sample::read(&answer)),
                Err(ApiError::Status { status }) if matches!(status.code, 404 | 409) => Ok(None),
                Err(error) => Err(error),
            }
        }
    };
    let answers: Vec<_> = stream::iter(machines.iter().map(ask)).buffered(AT_A_TIME).collect().await;
    Ok(answers.into_iter().collect::<Result<_, _>>()?)
}

fn lines(
    machines: &[Machine],
    before: &[Option<Sample>],
    after: &[Option<Sample>],
    namespaces: bool,
    screen: &Screen,
) -> Vec<String> {
    let mut headings = vec!["NAME", "CPU", "CPU%", "MEMORY", "MEMORY%"];
    if namespaces {
        headings.insert(0, "NAMESPACE");
    }
    let rows: Vec<Vec<String>> = machines
        .iter()
        .zip(before.iter().zip(after))
        .map(|(machine, (before, after))| {
            let cpu = before.zip(*after).and_then(|(before, after)| after.cpu_millis(before));
            let memory = after.map(|after| after.memory_bytes);
            let memory_of = machine.memory_bytes.map(i128::from);
            let mut row = vec![
                machine.named.name.clone(),
                of(cpu, machine.cpu_millis, |millis| format!("{millis}m")),
                percent(cpu, machine.cpu_millis),
                of(memory.map(i128::from), memory_of, |bytes| format!("{}Mi", bytes.div_euclid(1 << 20))),
                percent(memory.map(i128::from), memory_of),
            ];
            if namespaces {
                row.insert(0, machine.named.namespace.clone());
            }
            row
        })
        .collect();
    table::lines(&headings, &rows, screen.paint())
}

/// `12m/250m`, or what is known of it.
fn of(used: Option<i128>, given: Option<i128>, word: impl Fn(i128) -> String) -> String {
    let known = |amount: Option<i128>| amount.map_or("?".to_owned(), &word);
    format!("{}/{}", known(used), known(given))
}

fn percent(used: Option<i128>, given: Option<i128>) -> String {
    match (used, given.filter(|given| *given > 0)) {
        (Some(used), Some(given)) => format!("{}%", used * 100 / given),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(second: &str, nanoseconds: i64, bytes: u64) -> Sample {
        let timestamp = format!("2026-01-01T00:00:{second}Z");
        let answer =
            json!({"timestamp": timestamp, "cpu": {"usageNanoseconds": nanoseconds}, "memory": {"usageBytes": bytes}});
        Sample::read(&answer).unwrap()
    }

    #[test]
    fn processor_time_is_what_passed_between_two_looks() {
        let before = sample("01", 5_000_000_000, 0);
        assert_eq!(sample("02", 5_125_000_000, 0).cpu_millis(before), Some(125));
        assert_eq!(sample("03.5", 10_000_000_000, 0).cpu_millis(before), Some(2000));
        assert_eq!(sample("01", 5_000_000_000, 0).cpu_millis(before), None, "no time has passed");
        assert_eq!(sample("02", 1_000, 0).cpu_millis(before), None, "it was started anew");
        assert_eq!(Sample::read(&json!({"timestamp": "x"})), None);
    }

    #[test]
    fn table_tells_what_is_used_of_what_was_given() {
        let object = |name: &str, resources: Value| json!({"metadata": {"name": name, "namespace": "shop"}, "status": {"phase": "Running", "resources": resources}});
        let machines: Vec<_> = [
            object("web", json!({"cpu": "250m", "memory": "128Mi"})),
            object("database", json!({"cpu": "2", "memory": "2Gi"})),
            object("gone", json!({"cpu": "1", "memory": "1Gi"})),
            object("odd", json!({})),
        ]
        .iter()
        .map(|object| machine(object, &Resource::default()))
        .collect();
        let before = sample("01", 0, 0);
        let before = [Some(before), Some(before), Some(before), Some(before)];
        let after = [
            Some(sample("02", 12_000_000, 3 << 20)),
            Some(sample("02", 1_500_000_000, 1 << 30)),
            None,
            Some(sample("02", 0, 1 << 20)),
        ];
        let (screen, _) = Screen::captured();
        insta::assert_snapshot!(lines(&machines, &before, &after, true, &screen).join("\n"), @r"
        NAMESPACE  NAME      CPU          CPU%  MEMORY         MEMORY%
        shop       web       12m/250m     4%    3Mi/128Mi      2%
        shop       database  1500m/2000m  75%   1024Mi/2048Mi  50%
        shop       gone      ?/1000m      ?     ?/1024Mi       ?
        shop       odd       0m/?         ?     1Mi/?          ?
        ");
    }
}
