//! A controller of Lamps: server-side apply of what it makes and of its status, a finalizer, events, streaming lists;
//! two replicas, of which one leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use e2e::Cloud;
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event as News, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Error as FinalizerError, Event as Finalizing, finalizer};
use kube::runtime::wait::{Condition, await_condition, conditions};
use kube::runtime::watcher;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::json;

use super::election::{self, lead, led_by};
use super::{Lamp, LampSpec, client_of, install_lamps};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

struct Replica {
    client: Client,
    identity: &'static str,
    recorder: Recorder,
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_of_a_controller_one_keeps_the_lamps() {
    let cloud = tokio::task::spawn_blocking(|| Cloud::builder().fake().start()).await.expect("a cloud");
    let client = client_of(&cloud).await;
    install_lamps(&client).await;
    let lamps: Api<Lamp> = Api::default_namespaced(client.clone());
    let cards: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let leases: Api<Lease> = Api::default_namespaced(client.clone());
    let first = tokio::spawn(replica(client_of(&cloud).await, "first"));
    until(&leases, election::NAME, led_by("first", 1)).await;
    let second = tokio::spawn(replica(client_of(&cloud).await, "second"));

    let lamp = Lamp::new("desk", LampSpec { color: "red".into() });
    let uid = lamps.create(&PostParams::default(), &lamp).await.expect("a lamp").uid().expect("it has an id");
    until(&lamps, "desk", lit_by("first", 1)).await;
    let card = cards.get("desk-card").await.expect("its card is there");
    assert_eq!(card.owner_references()[0].uid, uid);

    // What it owns is watched too.
    cards.delete("desk-card", &DeleteParams::default()).await.expect("it can be taken away");
    let is_another = |now: Option<&ConfigMap>| now.is_some_and(|now| now.uid() != card.uid());
    until(&cards, "desk-card", is_another).await;
    let config = json!({"apiVersion": "kube.example.com/v1", "kind": "Lamp", "spec": {"color": "blue"}});
    let user = PatchParams::apply("user").force();
    lamps.patch("desk", &user, &Patch::Apply(config)).await.expect("the user changes it");
    until(&lamps, "desk", lit_by("first", 2)).await;
    until(&leases, election::NAME, led_by("first", 1)).await;

    // The leader is gone without a word: the other one takes over once its time is over.
    first.abort();
    let green = Patch::Merge(json!({"spec": {"color": "green"}}));
    lamps.patch("desk", &PatchParams::default(), &green).await.expect("the user changes it again");
    until(&lamps, "desk", lit_by("second", 3)).await;
    until(&leases, election::NAME, led_by("second", 2)).await;
    assert_eq!(cards.get("desk-card").await.expect("its card").data.expect("it says so")["color"], "green");

    let marked =
        lamps.delete("desk", &DeleteParams::foreground()).await.expect("it may go").left().expect("not at once");
    assert_eq!(marked.meta().generation, Some(4), "the mark is a change of what is wanted");
    until(&lamps, "desk", conditions::is_deleted(&uid)).await;
    until(&cards, "desk-card", |card: Option<&ConfigMap>| card.is_none()).await;
    cards.get("desk-was-here").await.expect("the farewell");
    let events: Api<Event> = Api::default_namespaced(client);
    let of_lamp = ListParams::default().fields("regarding.name=desk,reason=Lit");
    let news = events.list(&of_lamp).await.expect("the events").items;
    assert!(news.iter().any(|event| event.series.is_some()), "repeated news are counted: {news:#?}");
    second.abort();
}

fn lit_by(identity: &'static str, generation: i64) -> impl Fn(Option<&Lamp>) -> bool {
    move |lamp| {
        let status = lamp.and_then(|lamp| lamp.status.as_ref());
        status.is_some_and(|status| {
            status.lit_by.as_deref() == Some(identity) && status.observed_generation == Some(generation)
        })
    }
}

async fn until<K>(api: &Api<K>, name: &str, condition: impl Condition<K>)
where
    K: Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + kube::Resource + 'static,
{
    let awaited = tokio::time::timeout(PATIENCE, await_condition(api.clone(), name, condition)).await;
    match awaited {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => panic!("{name} can't be watched: {error}"),
        Err(_) => panic!("{name} did not become as awaited; it is {:#?}", api.get_opt(name).await),
    }
}

/// A replica of the controller: waits until it leads, then works.
async fn replica(client: Client, identity: &'static str) {
    let reporter = Reporter { controller: "lamp-controller".into(), instance: Some(identity.into()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let context = Arc::new(Replica { client: client.clone(), identity, recorder });
    let lamps: Api<Lamp> = Api::default_namespaced(client.clone());
    let cards: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let streaming = watcher::Config::default().streaming_lists();
    let work = Controller::new(lamps, streaming.clone()).owns(cards, streaming).run(reconcile, give_up_once, context);
    let failures = work.for_each(async |done| {
        if let Err(error) = done {
            eprintln!("{identity}: {error:?}");
        }
    });
    lead(client, identity, failures).await;
}

async fn reconcile(lamp: Arc<Lamp>, context: Arc<Replica>) -> Result<Action, FinalizerError<kube::Error>> {
    let lamps: Api<Lamp> = Api::default_namespaced(context.client.clone());
    finalizer(&lamps, "kube.example.com/farewell", lamp, async |event| match event {
        Finalizing::Apply(lamp) => light(&lamp, &context).await,
        Finalizing::Cleanup(lamp) => say_farewell(&lamp, &context).await,
    })
    .await
}

async fn light(lamp: &Lamp, context: &Replica) -> Result<Action, kube::Error> {
    let name = lamp.name_any();
    let owner = PatchParams::apply("lamp-controller").force();
    let cards: Api<ConfigMap> = Api::default_namespaced(context.client.clone());
    let card = ConfigMap {
        metadata: ObjectMeta {
            name: Some(format!("{name}-card")),
            owner_references: Some(lamp.controller_owner_ref(&()).into_iter().collect()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("color".to_owned(), lamp.spec.color.clone())])),
        ..ConfigMap::default()
    };
    cards.patch(&card.name_any(), &owner, &Patch::Apply(&card)).await?;
    let news = News {
        type_: EventType::Normal,
        reason: "Lit".into(),
        note: Some(format!("{name} shines {}", lamp.spec.color)),
        action: "Lighting".into(),
        secondary: None,
    };
    context.recorder.publish(&news, &lamp.object_ref(&())).await?;
    let status = json!({
        "apiVersion": "kube.example.com/v1",
        "kind": "Lamp",
        "status": {"lit": true, "litBy": context.identity, "observedGeneration": lamp.metadata.generation},
    });
    let lamps: Api<Lamp> = Api::default_namespaced(context.client.clone());
    lamps.patch_status(&name, &owner, &Patch::Apply(status)).await?;
    Ok(Action::await_change())
}

async fn say_farewell(lamp: &Lamp, context: &Replica) -> Result<Action, kube::Error> {
    let cards: Api<ConfigMap> = Api::default_namespaced(context.client.clone());
    let name = format!("{}-was-here", lamp.name_any());
    let card = ConfigMap { metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() }, ..ConfigMap::default() };
    match cards.create(&PostParams::default(), &card).await {
        Err(kube::Error::Api(status)) if !status.is_already_exists() => Err(kube::Error::Api(status)),
        _ => Ok(Action::await_change()),
    }
}

fn give_up_once(_: Arc<Lamp>, _: &FinalizerError<kube::Error>, _: Arc<Replica>) -> Action {
    Action::requeue(Duration::from_millis(200))
}
