//! Draws a schedule from a seed. Pure: the same seed, the same schedule.

use controller_backend::fake::Operation;

use super::leaving::place;
use super::step::{Step, Taking, Thing};

/// How many there are at most of each kind.
pub(super) const EACH: usize = 3;
/// Vpcs: as many, and one whose range is that of the first.
pub(super) const VPCS: usize = EACH + 1;

/// How many Secrets there are at most.
const SECRETS: usize = 2;

/// The name of the InstancePolicy.
pub(super) const POLICY: &str = "more";
/// The capability that it allows.
pub(super) const CAPABILITY: &str = "NET_ADMIN";
/// The name of the ClusterImage.
pub(super) const CLUSTER_IMAGE: &str = "debian";
/// An image that can't be had.
const NO_IMAGE: &str = "nobody-has:1";
/// The name of the Image.
pub(super) const IMAGE: &str = "own";

/// The schedule of a seed: things are made, changed, in part deleted, and all deleted, with accidents in between.
#[must_use]
pub fn draw(seed: u64) -> Vec<Step> {
    let mut draw = Draw {
        state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5151_5151,
        steps: Vec::new(),
        spared: Spared::Nothing,
    };
    let mut things = draw.things();
    for thing in draw.shuffled(things.clone()) {
        draw.wish(Step::Write(thing));
    }
    draw.steps.push(Step::Settle);
    let devices = devices(&things);
    let mut changed = Vec::new();
    for thing in &mut things {
        if draw.one_in(2) && draw.change(thing, &devices) {
            changed.push(thing.clone());
        }
    }
    // The old machine goes on until there is the new image, and none like it can be made. So nothing changes first for which one
    // would be.
    let waits = |thing: &Thing| matches!(thing, Thing::Instance { image, .. } if image == NO_IMAGE);
    let (waiting, changed): (Vec<Thing>, Vec<Thing>) = changed.into_iter().partition(waits);
    if !waiting.is_empty() {
        draw.spared = Spared::Machines;
    }
    for thing in waiting.into_iter().chain(changed) {
        draw.wish(Step::Write(thing));
    }
    // What is stopped runs again before it is compared: whether a stopped one still has a machine tells of the past.
    for thing in &mut things {
        if Draw::start(thing) {
            draw.wish(Step::Write(thing.clone()));
        }
    }
    draw.steps.push(Step::Settle);
    // By themselves, so that it can be told how often a machine is started for them.
    draw.change_secrets(&mut things);
    draw.steps.push(Step::Settle);
    let parted = draw.leave_data(&things);
    let mut some: Vec<Thing> = things.iter().filter(|_| draw.one_in(3)).cloned().collect();
    let left: Vec<Thing> = things.iter().filter(|thing| !some.contains(thing)).cloned().collect();
    // A snapshot doesn't wait for the machine that was made from it.
    let waits = |thing: &Thing| !matches!(thing, Thing::InstanceSnapshot(_));
    some.retain(|thing| waits(thing) || left.iter().all(|other| needs(other, thing) == Spared::Nothing));
    let needed = some.iter().flat_map(|thing| left.iter().map(|other| needs(other, thing))).max().unwrap_or_default();
    draw.spared = draw.spared.max(needed);
    let (freeing, some): (Vec<Thing>, Vec<Thing>) = some.into_iter().partition(|thing| frees_a_range(thing, &things));
    for thing in draw.shuffled(freeing) {
        draw.wish(Step::Delete(thing));
        draw.steps.push(Step::Settle);
    }
    for thing in draw.shuffled(some) {
        draw.wish(Step::Delete(thing));
    }
    draw.steps.push(Step::Settle);
    draw.spared = Spared::Nothing;
    for thing in draw.shuffled(things) {
        draw.wish(Step::Delete(thing));
    }
    draw.steps.push(Step::Settle);
    if !parted.is_empty() {
        for thing in parted {
            draw.wish(Step::Purge(thing));
        }
        draw.steps.push(Step::Settle);
    }
    draw.steps
}

/// What nobody takes away for the time being, as there is no way back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Spared {
    #[default]
    Nothing,
    /// Machines and networks: none is made anew.
    Machines,
    /// Runs of machines, too: none is started again.
    Runs,
}

/// What the one, if it is an Instance, loses for good while the other isn't there: a machine whose Vpc, Volume or image is being
/// deleted goes on, and is started again, but none is made; one whose Secret or InstancePolicy is gone isn't started.
fn needs(one: &Thing, other: &Thing) -> Spared {
    let Thing::Instance { number, vpc, image, snapshot, mounts, is_virtual, takes, asks, .. } = one else {
        return Spared::Nothing;
    };
    let is_of_a_disk = *is_virtual && snapshot.is_none();
    let is_origin = match other {
        Thing::Secret { number, .. } if takes.secrets.contains(number) => return Spared::Runs,
        Thing::InstancePolicy if *asks => return Spared::Runs,
        Thing::Vpc(other) => *vpc == Some(*other),
        Thing::Volume { number: other, .. } => *mounts && number == other,
        Thing::InstanceSnapshot(other) => *snapshot == Some(*other),
        Thing::ClusterImage => is_of_a_disk && image == CLUSTER_IMAGE,
        Thing::Image => is_of_a_disk && image == IMAGE,
        _ => false,
    };
    if is_origin { Spared::Machines } else { Spared::Nothing }
}

/// Whether another Vpc may get its range once this is gone, and then machines that waited for it are made: a moment later what they
/// need may be gone, too, and whether they were made by then tells of the past.
fn frees_a_range(thing: &Thing, things: &[Thing]) -> bool {
    let shares = |vpc: usize| {
        let has_its_range =
            |other: &Thing| matches!(other, Thing::Vpc(other) if *other != vpc && other % EACH == vpc % EACH);
        things.iter().any(has_its_range)
    };
    match thing {
        Thing::Vpc(vpc) | Thing::Instance { vpc: Some(vpc), .. } => shares(*vpc),
        _ => false,
    }
}

/// The Secret with another value.
fn changed(secret: &mut Thing) -> Thing {
    if let Thing::Secret { value, .. } = secret {
        *value += 1;
    }
    secret.clone()
}

/// The Volumes that are there for certain, and are devices: of other mounts a virtual machine changes at its next start only,
/// which an accident may be.
fn devices(things: &[Thing]) -> Vec<usize> {
    let devices = things.iter().filter_map(|thing| match thing {
        Thing::Volume { number, snapshot: None, volume: None, block: true, .. } => Some(*number),
        _ => None,
    });
    devices.collect()
}

struct Draw {
    state: u64,
    steps: Vec<Step>,
    spared: Spared,
}

impl Draw {
    /// Splitmix64: every seed gives another sequence, also those next to each other.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or_default()
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn shuffled(&mut self, mut things: Vec<Thing>) -> Vec<Thing> {
        for last in (1..things.len()).rev() {
            let other = self.below(last + 1);
            things.swap(last, other);
        }
        things
    }

    /// A step of the user, with what goes wrong around it.
    fn wish(&mut self, step: Step) {
        while self.one_in(2) {
            let accident = self.accident();
            self.steps.push(accident);
        }
        self.steps.push(step);
    }

    fn things(&mut self) -> Vec<Thing> {
        // All of them or none: a copy is what its source is.
        let block = self.one_in(2);
        let mut things: Vec<Thing> = (0..VPCS).filter(|_| !self.one_in(4)).map(Thing::Vpc).collect();
        for number in 0..EACH {
            if self.one_in(2) {
                things.push(Thing::SecurityGroup { number, vpc: self.below(VPCS), port: 8000 });
            }
            if !self.one_in(3) {
                let (mut snapshot, mut volume) = (None, None);
                // From one before it, so that there are no circles.
                match self.below(4) {
                    0 if number > 0 => snapshot = Some(self.below(number)),
                    1 if number > 0 => volume = Some(self.below(number)),
                    _ => {}
                }
                things.push(Thing::Volume { number, size: 64, snapshot, volume, block });
            }
            if self.one_in(2) {
                things.push(Thing::Snapshot(number));
            }
            if self.one_in(3) {
                things.push(Thing::InstanceSnapshot(number));
                if self.one_in(2) {
                    things.push(Thing::ImageOfSnapshot(number));
                }
            }
            if !self.one_in(4) {
                let is_virtual = self.one_in(4);
                // Of one before it, so that there are no circles.
                let snapshot = (number > 0 && self.one_in(4)).then(|| self.below(number));
                things.push(Thing::Instance {
                    number,
                    vpc: (!self.one_in(4)).then(|| self.below(VPCS)),
                    image: if is_virtual { [CLUSTER_IMAGE, IMAGE][self.below(2)].to_owned() } else { self.image() },
                    snapshot,
                    cpu: 100,
                    memory: 128,
                    mounts: self.one_in(2),
                    publishes: !is_virtual && self.one_in(2),
                    is_virtual,
                    power: "Running".to_owned(),
                    takes: self.taking(is_virtual),
                    asks: !is_virtual && self.one_in(4),
                });
            }
        }
        things.extend((0..SECRETS).filter(|_| !self.one_in(4)).map(|number| Thing::Secret { number, value: 1 }));
        if !self.one_in(4) {
            things.push(Thing::InstancePolicy);
        }
        if self.one_in(2) {
            things.push(Thing::VpcPeering { number: 0, vpc: self.below(EACH), peer: self.below(EACH) });
        }
        if !self.one_in(4) {
            things.push(Thing::ClusterImage);
        }
        if !self.one_in(4) {
            things.push(Thing::Image);
        }
        things
    }

    fn taking(&mut self, is_virtual: bool) -> Taking {
        Taking {
            secrets: (0..SECRETS).filter(|_| self.one_in(3)).collect(),
            // A virtual machine has no variables.
            mounted: is_virtual || self.one_in(2),
            policy: ["Ignore", "Restart"][self.below(2)].to_owned(),
        }
    }

    /// Changes Secrets in every way: one, several at a time, again and again, and by deleting and making them anew.
    fn change_secrets(&mut self, things: &mut [Thing]) {
        let mut secrets: Vec<&mut Thing> =
            things.iter_mut().filter(|thing| matches!(thing, Thing::Secret { .. })).collect();
        if self.one_in(3) {
            let all = secrets.iter_mut().map(|secret| changed(secret)).collect();
            self.wish(Step::Burst(all));
        }
        for secret in secrets {
            match self.below(6) {
                0 => self.wish(Step::Write(changed(secret))),
                1 | 2 => {
                    let twice = vec![changed(secret), changed(secret)];
                    self.wish(Step::Burst(twice));
                }
                3 => {
                    self.wish(Step::Delete(secret.clone()));
                    self.wish(Step::Write(secret.clone()));
                }
                4 => {
                    self.wish(Step::Delete(secret.clone()));
                    self.wish(Step::Write(changed(secret)));
                }
                _ => {}
            }
        }
    }

    /// Leaves data behind of what no machine needs, and has it adopted, purged, or lie. What was left.
    fn leave_data(&mut self, things: &[Thing]) -> Vec<Thing> {
        let is_needed = |thing: &Thing| things.iter().any(|other| needs(other, thing) != Spared::Nothing);
        let mut left: Vec<Thing> =
            things.iter().filter(|thing| place(thing).is_some() && !is_needed(thing)).cloned().collect();
        left.retain(|_| self.one_in(3));
        if left.is_empty() {
            return left;
        }
        for thing in self.shuffled(left.clone()) {
            self.wish(Step::Leave(thing));
        }
        self.steps.push(Step::Settle);
        for thing in self.shuffled(left.clone()) {
            if self.one_in(3) {
                let after = 1 + self.below(3) as u64;
                self.steps.push(Step::CutOff(after));
            }
            match self.below(4) {
                0 => {}
                1 => self.wish(Step::Purge(thing)),
                _ => self.wish(Step::Adopt(thing)),
            }
        }
        self.steps.push(Step::Settle);
        left
    }

    fn image(&mut self) -> String {
        ["web:1", "web:2", "client:1", NO_IMAGE][self.below(4)].to_owned()
    }

    /// Changes what may be changed; whether there is anything.
    fn change(&mut self, thing: &mut Thing, devices: &[usize]) -> bool {
        match thing {
            Thing::SecurityGroup { port, .. } => *port += 1,
            Thing::Volume { size, .. } => *size += 32,
            Thing::Secret { value, .. } => *value += 1,
            Thing::Instance { number, mounts, image, snapshot, cpu, memory, power, is_virtual, .. } => {
                match self.below(4) {
                    0 if !*is_virtual && snapshot.is_none() => *image = self.image(),
                    // As many processors as before: more of them a virtual machine gets at its next start only.
                    1 => (*cpu, *memory) = (*cpu + 50, *memory + 32),
                    0 | 2 if devices.contains(number) => *mounts = !*mounts,
                    _ => *power = ["Stopped", "Paused"][self.below(2)].to_owned(),
                }
            }
            Thing::Vpc(_)
            | Thing::VpcPeering { .. }
            | Thing::Snapshot(_)
            | Thing::InstanceSnapshot(_)
            | Thing::ClusterImage
            | Thing::Image
            | Thing::ImageOfSnapshot(_)
            | Thing::InstancePolicy => return false,
        }
        true
    }

    /// Starts what is stopped; whether it was.
    fn start(thing: &mut Thing) -> bool {
        let Thing::Instance { power, .. } = thing else { return false };
        let stopped = power == "Stopped";
        if stopped {
            "Running".clone_into(power);
        }
        stopped
    }

    fn accident(&mut self) -> Step {
        match self.below(17) {
            0..=2 => Step::Crash(1 + self.below(8) as u64),
            3..=6 => self.fault(),
            7 => [Step::Down, Step::Up][self.below(2)].clone(),
            8 => [Step::LoseEvents, Step::DoubleEvents][self.below(2)].clone(),
            9 => Step::Lag([0, 20, 700, 5000][self.below(4)]),
            10 => Step::Cut,
            11 | 12 | 14 if self.spared == Spared::Runs => Step::Pass(5000),
            11 => Step::Dies(self.below(EACH), [0, 1, 137][self.below(3)]),
            13 if self.spared == Spared::Runs => Step::Cut,
            12 | 13 if self.spared == Spared::Machines => Step::Reboot,
            12 => Step::MachineRemoved(self.below(EACH)),
            13 => Step::NetworkRemoved(self.below(VPCS)),
            14 => Step::Reboot,
            15 => Step::MachineAstray(self.below(EACH)),
            _ => Step::Pass([1, 50, 2000, 60_000][self.below(4)]),
        }
    }

    fn fault(&mut self) -> Step {
        let operation = Operation::ALL[self.below(Operation::ALL.len())].to_string();
        let kind = ["Fail", "Unavailable", "LostAnswer"][self.below(3)].to_owned();
        Step::Fault { operation, kind, nth: if self.one_in(6) { 0 } else { 1 + self.below(3) as u64 } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::{read, script};
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_schedule_and_others_another() {
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn a_script_is_read_as_it_was_written() {
        for seed in 0..50 {
            assert_eq!(read(&script(&draw(seed))).unwrap(), draw(seed));
        }
        assert!(read("# nothing\n\n").unwrap().is_empty());
        assert!(read("\"Reboot\"\n{\"Fly\":1}").unwrap_err().starts_with("line 2: "), "the line is named");
    }
}
