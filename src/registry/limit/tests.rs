use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::*;

const ROUND_TRIP: Duration = Duration::from_millis(80);

/// A host that answers after a round trip, and of so many requests a second at most one after the other.
struct Host {
    busy: Option<Arc<tokio::sync::Mutex<()>>>,
    each: Duration,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Host {
    fn new(a_second: Option<u32>) -> Arc<Self> {
        let each = a_second.map_or(Duration::ZERO, |count| Duration::from_secs(1) / count);
        let busy = a_second.map(|_| Arc::default());
        Arc::new(Self { busy, each, under_way: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }

    async fn answer(&self) {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(ROUND_TRIP).await;
        if let Some(busy) = &self.busy {
            let _alone = busy.lock().await;
            tokio::time::sleep(self.each).await;
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Asks `host` so often, as much at once as `limit` lets it. Returns the most that were under way.
async fn ask(host: &Arc<Host>, limit: &Arc<HostLimit>, count: usize, load: impl Fn(usize) -> Load) -> usize {
    host.most.store(0, Ordering::SeqCst);
    let asking = (0..count).map(|at| {
        let (host, limit, load) = (Arc::clone(host), Arc::clone(limit), load(at));
        async move {
            let place = limit.enter().await;
            host.answer().await;
            place.leave(load);
        }
    });
    futures::future::join_all(asking).await;
    host.most.load(Ordering::SeqCst)
}

fn fine(_: usize) -> Load {
    Load::Fine
}

#[tokio::test(start_paused = true)]
async fn over_a_long_line_the_limit_grows_to_the_bound() {
    let limit = HostLimit::new(64);
    assert_eq!(ask(&Host::new(None), &limit, 2_000, fine).await, 64);
    // A run of some hundred requests has something of it.
    assert_eq!(ask(&Host::new(None), &HostLimit::new(64), 200, fine).await, 64);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_answers_no_more_is_not_asked_more() {
    // Its rate is reached by half of the first requests.
    let limit = HostLimit::new(64);
    let most = ask(&Host::new(Some(100)), &limit, 2_000, fine).await;
    assert!(most <= 2 * FIRST, "{most} at once");
}

#[tokio::test(start_paused = true)]
async fn the_bound_holds_from_the_beginning() {
    for bound in [1, 3] {
        assert_eq!(ask(&Host::new(None), &HostLimit::new(bound), 100, fine).await, bound);
    }
}

#[tokio::test(start_paused = true)]
async fn too_much_halves_the_limit_once_for_all_that_were_under_way() {
    let (host, limit) = (Host::new(None), HostLimit::new(64));
    ask(&host, &limit, 2_000, fine).await;
    // All of the next round are refused.
    ask(&host, &limit, 64, |_| Load::TooMuch).await;
    assert_eq!(limit.state().limit, 32);
    assert_eq!(ask(&host, &limit, 32, fine).await, 32);
    let after = ask(&host, &limit, 200, fine).await;
    assert!((32..48).contains(&after), "it grows by one a round, to {after}");
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_leaves_its_place() {
    let limit = HostLimit::new(1);
    drop(Arc::clone(&limit).enter().await);
    let waits = tokio::time::timeout(ROUND_TRIP, limit.enter()).await;
    assert!(waits.is_ok(), "the place is free again");
}

#[test]
fn each_host_has_a_limit_of_its_own() {
    let limits = RequestLimits::new(64);
    let host = |name: &str| Origin::Tuple("https".to_owned(), url::Host::Domain(name.to_owned()), 443);
    assert!(Arc::ptr_eq(&limits.of(&host("a")), &limits.of(&host("a"))));
    assert!(!Arc::ptr_eq(&limits.of(&host("a")), &limits.of(&host("b"))));
}
