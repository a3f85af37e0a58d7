//! Who is connected, and who has to leave when there is no room.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    slots: Mutex<HashMap<u64, ConnectionSlot>>,
    /// Rings when a connection ends or has nothing under way any more.
    freed: Notify,
}

#[derive(Debug)]
struct ConnectionSlot {
    address: IpAddr,
    /// Requests that were begun and whose answers have not left whole.
    under_way: usize,
    served: bool,
    idle_since: Instant,
    close: CancellationToken,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// The address has its share, and something under way on all of it.
    Address,
    /// Something is under way on every connection.
    Total,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, ConnectionSlot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in. Where there is no room, the one goes that has had nothing under way for the longest time.
    pub(super) fn enter(
        self: &Arc<Self>,
        number: u64,
        address: IpAddr,
        most: usize,
        share: usize,
    ) -> Result<Seat, NoRoom> {
        let mut slots = self.lock();
        if slots.values().filter(|slot| slot.address == address).count() >= share {
            evict(&mut slots, |slot| slot.address == address).then_some(()).ok_or(NoRoom::Address)?;
        }
        if slots.len() >= most {
            evict(&mut slots, |_| true).then_some(()).ok_or(NoRoom::Total)?;
        }
        let close = CancellationToken::new();
        let slot =
            ConnectionSlot { address, under_way: 0, served: false, idle_since: Instant::now(), close: close.clone() };
        slots.insert(number, slot);
        Ok(Seat { connections: Arc::clone(self), number, close })
    }

    /// Completes when it is worth trying again.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }
}

fn evict(slots: &mut HashMap<u64, ConnectionSlot>, of: impl Fn(&ConnectionSlot) -> bool) -> bool {
    let idle = slots.iter().filter(|(_, slot)| slot.under_way == 0 && of(slot));
    // Of those that began at one moment the ones that were never served go first.
    let Some(number) = idle.min_by_key(|(number, slot)| (slot.idle_since, **number)).map(|(number, _)| *number) else {
        return false;
    };
    if let Some(slot) = slots.remove(&number) {
        slot.close.cancel();
    }
    true
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    connections: Arc<Connections>,
    number: u64,
    /// Cancelled when the connection has to leave.
    pub(super) close: CancellationToken,
}

impl Seat {
    /// A request is under way until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        if let Some(slot) = self.connections.lock().get_mut(&self.number) {
            slot.under_way += 1;
            slot.served = true;
        }
        UnderWay(Arc::clone(self))
    }

    /// Whether a request was ever begun.
    pub(super) fn was_served(&self) -> bool {
        // One that was made to leave is no longer in the table.
        self.connections.lock().get(&self.number).is_none_or(|slot| slot.served)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
        self.connections.freed.notify_one();
    }
}

/// See [`Seat::begin`].
pub(super) struct UnderWay(Arc<Seat>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(slot) = self.0.connections.lock().get_mut(&self.0.number) {
            slot.under_way -= 1;
            slot.idle_since = Instant::now();
        }
        self.0.connections.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn the_longest_idle_one_leaves_and_a_busy_one_never_does() {
        let connections = Arc::new(Connections::default());
        let enter = |number, address| connections.enter(number, address, 3, 2).map(Arc::new);
        let (first, second) = (enter(1, ONE).unwrap(), enter(2, ONE).unwrap());
        let busy = first.begin();
        let third = enter(3, ONE).unwrap();
        assert!(second.close.is_cancelled() && !first.close.is_cancelled(), "its own address makes room");
        let also_busy = third.begin();
        assert_eq!(enter(4, ONE).unwrap_err(), NoRoom::Address);
        let other = enter(5, TWO).unwrap();
        let last = enter(6, TWO).unwrap();
        assert!(other.close.is_cancelled() && !last.close.is_cancelled());
        let _busy = last.begin();
        assert_eq!(enter(7, TWO).unwrap_err(), NoRoom::Total);
        drop((busy, also_busy));
        enter(8, TWO).unwrap();
        assert!(first.close.is_cancelled());
    }
}
