use std::time::Duration;
use controller_simulation::{Cloud, instance, vpc};
use crds::compute::instance::Instance;
fn cpu() -> f64 { let s = std::fs::read_to_string("/proc/self/stat").unwrap(); let (_, r) = s.rsplit_once(')').unwrap(); let f: Vec<&str> = r.split_whitespace().collect(); (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0 }
fn rss() -> String { std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmRSS")).unwrap().to_owned() }
#[tokio::test]
async fn tmp() {
    let mut cloud = Cloud::new().await; cloud.start();
    cloud.create(&vpc("main", Some("10.9.0.0/20"))).await;
    let t = std::time::Instant::now();
    for n in 0..1000 { let mut w = instance(&format!("web-{n}"), "web:1"); w.spec.vpc = Some("main".into()); cloud.create(&w).await; }
    for n in 0..1000 { cloud.until_ready::<Instance>(&format!("web-{n}")).await; }
    eprintln!("made in {:?} cpu {} {}", t.elapsed(), cpu(), rss());
    cloud.pass(Duration::from_secs(10)).await;
    let (a, r) = (cpu(), cloud.metrics.reconcile_count("Instance"));
    cloud.pass(Duration::from_secs(60)).await;
    eprintln!("idle 60 s: cpu {} reconciles {} {}", cpu() - a, cloud.metrics.reconcile_count("Instance") - r, rss());
}
