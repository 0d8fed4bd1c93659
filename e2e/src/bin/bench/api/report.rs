//! Figures of every round, and their medians as a table and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::Outcome;
use super::process::Processes;
use crate::measure::middle;

/// One phase on one server: a figure a round.
#[derive(Default)]
struct Phase {
    per_second: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    processor: Vec<f64>,
}

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    order: Vec<(String, usize)>,
    phases: BTreeMap<(String, usize, String), Phase>,
    memory: Vec<(String, String, f64)>,
}

impl Report {
    pub(crate) fn add(&mut self, server: &str, phase: &str, clients: usize, outcome: Outcome) {
        let Outcome { requests, wall, processor, mut latencies } = outcome;
        latencies.sort_unstable();
        let place = (phase.to_owned(), clients);
        if !self.order.contains(&place) {
            self.order.push(place);
        }
        let figures = self.phases.entry((phase.to_owned(), clients, server.to_owned())).or_default();
        figures.per_second.push(requests as f64 / wall.as_secs_f64());
        figures.p50.push(quantile(&latencies, 50));
        figures.p99.push(quantile(&latencies, 99));
        figures.processor.push(processor.as_secs_f64() * 1000.0 / requests as f64);
    }

    /// Notes how much memory a server holds now.
    pub(crate) fn memory(&mut self, server: &str, when: &str, processes: &Processes) -> anyhow::Result<()> {
        self.memory.push((server.to_owned(), when.to_owned(), processes.memory()?));
        Ok(())
    }

    pub(crate) fn print(&self) {
        println!("| phase | clients | server | a second | p50 ms | p99 ms | processor ms a request |");
        println!("|---|---|---|---|---|---|---|");
        for (phase, clients) in &self.order {
            for ((_, _, server), figures) in self.rows(phase, *clients) {
                println!(
                    "| {phase} | {clients} | {server} | {:.0} | {:.2} | {:.2} | {:.3} |",
                    middle(figures.per_second.clone()),
                    middle(figures.p50.clone()),
                    middle(figures.p99.clone()),
                    middle(figures.processor.clone()),
                );
            }
        }
        println!("\n| memory of | when | MiB |\n|---|---|---|");
        for (server, when, mib) in &self.memory {
            println!("| {server} | {when} | {mib:.1} |");
        }
    }

    /// Every figure of every round.
    pub(crate) fn json(&self) -> String {
        let phases: Vec<Value> = self
            .order
            .iter()
            .flat_map(|(phase, clients)| self.rows(phase, *clients))
            .map(|((phase, clients, server), figures)| {
                json!({
                    "phase": phase, "clients": clients, "server": server,
                    "perSecond": figures.per_second, "p50Ms": figures.p50, "p99Ms": figures.p99,
                    "processorMsPerRequest": figures.processor,
                })
            })
            .collect();
        let memory: Vec<Value> =
            self.memory.iter().map(|(server, when, mib)| json!({"server": server, "when": when, "mib": mib})).collect();
        format!("{:#}\n", json!({"phases": phases, "memory": memory}))
    }

    fn rows(&self, phase: &str, clients: usize) -> impl Iterator<Item = (&(String, usize, String), &Phase)> {
        self.phases.iter().filter(move |((known, number, _), _)| known == phase && *number == clients)
    }
}

fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
}
