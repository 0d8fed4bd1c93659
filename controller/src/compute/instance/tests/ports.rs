//! Which address and ports an Instance gets, and when it gets others.

use super::*;

#[test]
fn address_and_ports_are_written_down_before_the_machine_is_made_and_started() {
    let mut scene = scene(InstanceSpec { ports: vec![published(None)], ..spec() });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "Create", "Start"]);
    assert_eq!(scene.ready(), ("True", "Running"));
    assert_eq!(scene.phase(), InstancePhase::Running);
    let port = scene.instance.status.unwrap().ports[0].published_port.unwrap();
    assert!((20000..=20009).contains(&port));
}

#[test]
fn a_port_that_is_not_published_replaces_nothing() {
    let mut scene = running(spec());
    scene.instance.spec.ports.push(Port { port: 81, ..Port::default() });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate"]);
}

#[test]
fn a_picked_port_that_the_host_refuses_is_replaced_by_another() {
    let mut scene = scene(InstanceSpec { ports: vec![published(None)], ..spec() });
    scene.converge(Goal::Present);
    let picked = scene.instance.status.clone().unwrap().ports[0].published_port.unwrap();
    scene.machine().state = MachineState::Created;
    let refused = HostPort {
        port: u16::try_from(picked).unwrap(),
        protocol: Protocol::Tcp,
        address: "127.0.0.1".parse().unwrap(),
    };
    scene.observed.supply.refused.insert(refused);
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "Remove", "Create", "Start"]);
    assert_ne!(scene.instance.status.unwrap().ports[0].published_port.unwrap(), picked);
}

#[test]
fn a_port_that_another_instance_has_is_a_condition_that_names_it() {
    let mut scene = scene(InstanceSpec { ports: vec![published(Some(8080))], ..spec() });
    let taken = HostPort { port: 8080, protocol: Protocol::Tcp, address: "0.0.0.0".parse().unwrap() };
    scene.observed.supply.ports.push((taken, Some("api".to_owned())));
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "PortTaken"));
    let status = scene.instance.status.clone().unwrap();
    let message = &condition(&status.conditions, READY).unwrap().message;
    assert_eq!(message, "TCP port 127.0.0.1:8080 is taken by Instance `api`.");
    scene.observed.supply.ports.clear();
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "Create", "Start"]);
}

#[test]
fn where_machines_ask_for_names_nobody_publishes() {
    let ask = |port, address: &str| {
        let publish = Publish { port: Some(port), address: Some(address.to_owned()) };
        let mut scene =
            scene(InstanceSpec { ports: vec![Port { port: 80, publish: Some(publish), ..Port::default() }], ..spec() });
        scene.observed.supply.networks = vec!["10.9.0.0/20".parse().unwrap()];
        let steps = scene.converge(Goal::Present).len();
        let ready = condition(&scene.instance.status.as_ref().unwrap().conditions, READY).unwrap();
        (steps, ready.reason.clone(), ready.message.clone())
    };
    let refused = |reason: &str, message: &str| (0, reason.to_owned(), message.to_owned());
    let message = "10.9.0.1 is in the range of a Vpc: publish on another address of the host.";
    assert_eq!(ask(8080, "10.9.0.1"), refused("Invalid", message));
    for (all, shown) in [("0.0.0.0", "0.0.0.0:53"), ("::", "[::]:53")] {
        let message =
            format!("TCP port {shown} is taken by the name servers of Vpcs: publish it on one address of the host.");
        assert_eq!(ask(53, all), refused("PortTaken", &message));
    }
    for (port, address) in [(53, "192.0.2.7"), (8080, "0.0.0.0")] {
        assert_eq!(ask(port, address).1, "Running", "{address}:{port}");
    }
}

#[test]
fn a_taken_port_does_not_tear_down_what_runs() {
    let mut scene = running(spec());
    scene.instance.spec.ports.push(published(Some(8080)));
    let taken = HostPort { port: 8080, protocol: Protocol::Tcp, address: "127.0.0.1".parse().unwrap() };
    scene.observed.supply.ports.push((taken, None));
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "PortTaken"));
    assert_eq!(scene.phase(), InstancePhase::Running);
}

#[test]
fn addresses_that_others_have_are_not_given_out_twice() {
    let mut first = scene(spec());
    first.converge(Goal::Present);
    let favourite: Ipv4Addr = first.instance.status.clone().unwrap().ip.unwrap().parse().unwrap();
    let mut second = scene(spec());
    second.observed.supply.addresses.insert(favourite);
    second.converge(Goal::Present);
    assert_ne!(second.instance.status.clone().unwrap().ip.unwrap(), favourite.to_string());

    let mut full = scene(spec());
    full.observed.supply.addresses = (0..=255).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
    assert_eq!(full.converge(Goal::Present), []);
    assert_eq!(full.ready(), ("False", "AddressesExhausted"));
}

#[test]
fn who_has_address_and_ports_looks_at_nobody_until_it_needs_another_one() {
    let mut scene = scene(spec());
    scene.instance.spec.ports = vec![published(Some(8080)), published(None)];
    scene.instance.spec.ports[1].port = 81;
    let network = scene.observed.network.known().unwrap().range.unwrap();
    let all = |scene: &Scene| has_all(&scene.instance, network, &scene.observed.supply);
    assert!(!all(&scene), "it has nothing yet");
    scene.converge(Goal::Present);
    assert!(all(&scene));
    // Another image is another machine, with the same address and ports.
    scene.instance.spec.image = "nginx:2".to_owned();
    assert!(all(&scene));
    let elsewhere = ("10.1.0.0/24".parse().unwrap(), "10.1.0.1".parse().unwrap());
    assert!(!has_all(&scene.instance, elsewhere, &scene.observed.supply));
    let picked = scene.instance.status.as_ref().unwrap().ports.iter().filter_map(host_port_of).next_back().unwrap();
    let mut refused = scene.clone();
    refused.observed.supply.refused.insert(picked);
    assert!(!all(&refused), "the host refused the port that was picked");
    scene.instance.spec.ports[0].publish = Some(Publish { port: Some(8081), address: None });
    assert!(!all(&scene));
}
