//! Decides whom a machine asks for names: the name server of its network, and after it those of the host, so that names
//! of the world go on while ours doesn't answer.

use std::net::Ipv4Addr;

/// Where the host's own are listed.
const HOST_LIST: &str = "/etc/resolv.conf";

/// In the order in which they are asked. A network without a way out has only its own.
pub(super) async fn of(gateway: Ipv4Addr, internal: bool) -> Vec<String> {
    let host = if internal { Vec::new() } else { of_host().await };
    std::iter::once(gateway).chain(host).map(|address| address.to_string()).collect()
}

/// The host's own, but for those that only the host itself reaches.
pub(crate) async fn of_host() -> Vec<Ipv4Addr> {
    listed(&tokio::fs::read_to_string(HOST_LIST).await.unwrap_or_default()).collect()
}

fn listed(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    let addresses = text.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok());
    addresses.filter(|address: &Ipv4Addr| !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_resolvers_are_asked_unless_only_the_host_reaches_them() {
        let text = "search example.net\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n# nameserver 192.0.2.2\n";
        assert_eq!(listed(text).collect::<Vec<_>>(), [Ipv4Addr::new(192, 0, 2, 1)]);
    }
}
