//! Reads which ranges the host's own routes use. Parsing is pure; only `read` looks at the host.

use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;

/// A route of the host's main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) cidr: Ipv4Net,
    pub(crate) device: String,
}

/// All routes but the default ones.
pub(crate) async fn read() -> std::io::Result<Vec<Route>> {
    Ok(parse(&tokio::fs::read_to_string(Path::new("/proc/net/route")).await?))
}

/// Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask ...; addresses are hexadecimal in the host's order
/// of bytes, which on every machine that Docker runs on is the reverse of the network's.
fn parse(table: &str) -> Vec<Route> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let address = |text: &str| Some(Ipv4Addr::from(u32::from_str_radix(text, 16).ok()?.swap_bytes()));
            let cidr = Ipv4Net::with_netmask(address(columns.get(1)?)?, address(columns.get(7)?)?).ok()?;
            (cidr.prefix_len() > 0).then(|| Route { cidr: cidr.trunc(), device: columns[0].to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_and_the_default_one_is_left_out() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let docker = Route { cidr: "172.17.0.0/16".parse().expect("a range"), device: "docker0".to_owned() };
        assert_eq!(parse(table), [docker]);
    }
}
