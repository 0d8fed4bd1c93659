//! The whole system in memory: the real apiserver over the memory store, the real controllers, a fake engine, and a
//! clock that only moves when everybody waits. Controllers can be killed after any change that they make.
//!
//! [`Cloud`] is what a test drives, as a user would; [`tour`], [`virtual_tour`] and [`retained_tour`] are stories, which
//! [`story`] tells again and again with crashes and faults; [`schedule`] draws ever new ones.
//! Nothing here decides anything: what is tested is the product's own code.

mod cloud;
mod crash;
mod gauge;
mod objects;
pub mod record;
pub mod retained_tour;
pub mod schedule;
pub mod story;
pub mod tour;
mod virtual_clock;
pub mod virtual_tour;

pub use cloud::{Cloud, History, INSTALLATION, NAMESPACE};
pub use crash::Tripwire;
pub use objects::{
    Reached, asking, cluster_image, cluster_image_of_snapshot, copy, downloaded_image, image, image_of_snapshot,
    instance, instance_policy, instance_snapshot, published, restored, secret, snapshot, virtual_machine, volume,
    volume_mount, vpc,
};
pub use virtual_clock::VirtualClock;
