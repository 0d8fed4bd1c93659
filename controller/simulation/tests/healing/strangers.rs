//! What belongs to nobody, or to another installation.

use super::*;

#[tokio::test(start_paused = true)]
async fn another_engine_is_refused_and_nothing_on_it_is_touched() {
    let (mut cloud, _) = with_web().await;
    cloud.kill();
    cloud.engine.set_identity("another");
    let before = cloud.engine.changes();
    cloud.start();
    let web = cloud.until_condition::<Instance>("web", "Ready", "Unknown", Some("WrongHost")).await;
    assert!(message(&web).contains("another"), "{}", message(&web));
    assert_eq!(cloud.engine.changes(), before);

    // The way out that the log names.
    cloud.forget_host().await;
    cloud.until_ready::<Instance>("web").await;
}

fn orphan(installation: Uuid) -> MachineSpec {
    let owner = Owner {
        installation,
        kind: "Instance".to_owned(),
        namespace: "default".to_owned(),
        name: "lost".to_owned(),
        uid: Uuid::from_u128(99),
    };
    MachineSpec {
        name: controller_backend::machine_name(&owner),
        owner,
        hostname: "lost".to_owned(),
        image: "web:1".to_owned(),
        command: None,
        args: None,
        working_dir: None,
        user: None,
        env: Vec::new(),
        has_secret_environment: false,
        labels: Default::default(),
        network: None,
        ports: Vec::new(),
        mounts: Vec::new(),
        resources: Resources { cpu_millis: 100, memory_bytes: 1 << 20, max_memory_bytes: None },
        security: SecurityContext::default(),
        stop_grace: Duration::from_secs(1),
        first_boot: None,
        disk_bytes: None,
        spec_hash: "x".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_an_object_is_swept_and_another_installation_is_never_touched() {
    let (cloud, uid) = with_web().await;
    let other = Uuid::from_u128(7);
    for installation in [INSTALLATION, other] {
        let mut spec = orphan(installation);
        spec.name = format!("{}-{installation}", spec.name);
        let machines = cloud.engine.backend(installation).machines;
        let id = machines.create(&spec).await.unwrap();
        machines.start(&id).await.unwrap();
    }
    let before = cloud.engine.state(other);
    cloud.pass(Duration::from_secs(1300)).await;
    assert_eq!(cloud.engine.state(other), before);
    let ours = cloud.engine.state(INSTALLATION);
    assert!(!ours.contains("lost") && ours.contains("web"), "{ours}");
    assert_eq!(cloud.engine.machines_of(uid).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_restore_nothing_is_swept_until_somebody_confirms() {
    let (cloud, _) = with_web().await;
    cloud.restored.store(true, Ordering::Relaxed);
    let machines = cloud.engine.backend(INSTALLATION).machines;
    machines.create(&orphan(INSTALLATION)).await.unwrap();
    cloud.pass(Duration::from_secs(7200)).await;
    assert!(cloud.engine.state(INSTALLATION).contains("lost"));
    cloud.restored.store(false, Ordering::Relaxed);
    cloud.pass(Duration::from_secs(1300)).await;
    assert!(!cloud.engine.state(INSTALLATION).contains("lost"));
}

#[tokio::test(start_paused = true)]
async fn two_clouds_on_one_engine_do_not_see_each_other() {
    let (cloud, uid) = with_web().await;
    let mut other = Cloud::on(cloud.engine.clone(), cloud.clock, Uuid::from_u128(7)).await;
    other.start();
    other.create(&instance("web", "web:1")).await;
    let theirs = other.until_ready::<Instance>("web").await;
    let range = other.until_ready::<Vpc>("default").await.status.unwrap().cidr.unwrap();
    assert_ne!(range, cloud.until_ready::<Vpc>("default").await.status.unwrap().cidr.unwrap());
    other.delete::<Instance>("web").await;
    other.until_gone::<Instance>("web").await;
    cloud.pass(Duration::from_secs(3600)).await;
    assert_ne!(theirs.metadata.uid.unwrap(), uid.to_string());
    assert_eq!(cloud.engine.machines_of(uid)[0].state, MachineState::Running);
}
