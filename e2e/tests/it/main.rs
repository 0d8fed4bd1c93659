//! End to end: real `cloudd`, real `cloudctl` and `kubectl`, real Docker. One file a promise of the README.

mod backup;
mod bad_input;
mod block;
mod change;
mod cloudctl;
mod cloudctl_machines;
mod crash;
mod deletion;
mod disk_full;
mod docker_stops;
mod doctor;
mod heal;
mod kubectl;
mod machine;
mod neighbours;
mod network;
mod postgres;
mod reboot;
mod retained;
mod security;
mod storage;
mod three_apiservers;
mod tour;
mod virtual_machine;
mod virtual_network;
mod virtual_volumes;
