//! The way into a packet: VLANs and tunnels around it, outermost first, and the scope they make.

use std::net::IpAddr;

use super::Limits;
use super::path::TunnelLayer;
use super::skip::Skip;
use super::tunnel::Tunnel;
use crate::net::Scope;

/// Outer addresses: sender and receiver.
pub(super) type Ends = (IpAddr, IpAddr);

/// The VLANs and tunnels that the packet at hand was in so far. Its buffer is used again for each
/// packet, and takes at most `max_vlan_tags` + `max_tunnels` layers.
#[derive(Debug)]
pub(super) struct Trail {
    max_tags: usize,
    max_tunnels: usize,
    /// Scopes are wanted.
    pub(super) scoped: bool,
    tags: usize,
    tunnels: usize,
    scope: Scope,
    layers: Vec<TunnelLayer>,
    /// Tunnels opened since the beginning, by kind.
    opened: [u64; Tunnel::ALL.len()],
}

/// Bits 63 and 62 of a scope: 00 up to five VLANs as they are, 10 a hash of more of them, 01 a hash
/// with tunnels.
const MANY_VLANS: u64 = 1 << 63;
const TUNNELLED: u64 = 1 << 62;

impl Trail {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            max_tags: limits.max_vlan_tags,
            max_tunnels: limits.max_tunnels,
            scoped: true,
            tags: 0,
            tunnels: 0,
            scope: Scope(0),
            layers: Vec::new(),
            opened: [0; Tunnel::ALL.len()],
        }
    }

    /// Forgets the packet before.
    #[inline]
    pub(super) fn begin(&mut self) {
        (self.tags, self.tunnels, self.scope) = (0, 0, Scope(0));
        self.layers.clear();
    }

    /// The scope so far: equal for both directions of a flow.
    #[inline]
    pub(super) const fn scope(&self) -> Scope {
        self.scope
    }

    /// The layers so far.
    pub(super) fn layers(&self) -> &[TunnelLayer] {
        &self.layers
    }

    /// How often tunnels of each kind were opened.
    pub(super) fn opened(&self) -> impl Iterator<Item = (Tunnel, u64)> {
        Tunnel::ALL.into_iter().zip(self.opened)
    }

    /// A VLAN tag. Priority tags (VLAN 0) are no VLAN.
    pub(super) fn vlan(&mut self, vlan: u16) -> Result<(), Skip> {
        if self.tags >= self.max_tags {
            return Err(Skip::VlanBound);
        }
        self.tags += 1;
        if vlan == 0 || !self.scoped {
            return Ok(());
        }
        let id = u64::from(vlan);
        self.layers.push(TunnelLayer { kind: Tunnel::Vlan, id: Some(vlan.into()), outer: None });
        self.scope.0 = match self.scope.0 {
            // Up to five ids of 12 bits stand as they are, outermost first.
            ids @ 0..=0xffff_ffff_ffff => ids << 12 | id,
            scope if scope & TUNNELLED != 0 && scope & MANY_VLANS == 0 => {
                tunnelled(step(scope, id))
            }
            scope => (step(scope, id) & !TUNNELLED) | MANY_VLANS,
        };
        Ok(())
    }

    /// A tunnel: its number, and the addresses of the IP packet that it is in.
    pub(super) fn enter(
        &mut self,
        kind: Tunnel,
        id: Option<u32>,
        outer: Option<Ends>,
    ) -> Result<(), Skip> {
        if self.tunnels >= self.max_tunnels {
            return Err(Skip::TunnelBound);
        }
        self.tunnels += 1;
        if let Some(opened) = self.opened.get_mut(kind as usize) {
            *opened += 1;
        }
        if !self.scoped {
            return Ok(());
        }
        self.layers.push(TunnelLayer { kind, id, outer });
        let mark = kind.mark();
        if !mark.id && !mark.ends {
            return Ok(());
        }
        let mut hash = step(self.scope.0, kind as u64);
        if mark.id {
            hash = step(hash, id.map_or(u64::MAX, u64::from));
        }
        if let Some((src, dst)) = outer.filter(|_| mark.ends) {
            for ip in [src.min(dst), src.max(dst)] {
                hash = halves(ip).into_iter().fold(hash, step);
            }
        }
        self.scope = Scope(tunnelled(hash));
        Ok(())
    }
}

const fn tunnelled(hash: u64) -> u64 {
    hash >> 2 | TUNNELLED
}

/// One step of a hash: the halves of a product. Nothing hangs on its being hard to invert: who can
/// choose what is hashed can as well send twice the same.
const fn step(hash: u64, word: u64) -> u64 {
    let mixed = hash.rotate_left(23) ^ word ^ 0xb7e1_5162_8aed_2a6b;
    let product = (mixed as u128).wrapping_mul(0xbf71_5880_9cf4_f3c7);
    (product >> 64) as u64 ^ (product & 0xffff_ffff_ffff_ffff) as u64
}

fn halves(ip: IpAddr) -> [u64; 2] {
    match ip {
        IpAddr::V4(ip) => [u64::from(u32::from(ip)), u64::MAX],
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            [(bits >> 64) as u64, (bits & 0xffff_ffff_ffff_ffff) as u64]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail() -> Trail {
        Trail::new(&Limits::default())
    }

    fn of_vlans(vlans: &[u16]) -> u64 {
        let mut trail = trail();
        vlans.iter().for_each(|&vlan| trail.vlan(vlan).unwrap());
        trail.scope().0
    }

    #[test]
    fn scopes_of_deep_stacks_differ_from_shallow_ones() {
        assert_eq!(of_vlans(&[1, 2, 3, 4, 0xfff]), 0x0001_0020_0300_4fff);
        assert_ne!(of_vlans(&[1, 2, 3, 4, 5, 6]), of_vlans(&[1, 2, 3, 4, 5, 7]));
        assert_ne!(of_vlans(&[9, 1, 2, 3, 4, 5, 6]), of_vlans(&[8, 1, 2, 3, 4, 5, 6]));
        assert_eq!(of_vlans(&[1, 2, 3, 4, 5, 6]) >> 62, 0b10);
        assert_eq!(of_vlans(&[1, 0, 2]), of_vlans(&[1, 2]));
    }

    fn ends(a: &str, b: &str) -> Option<Ends> {
        Some((a.parse().unwrap(), b.parse().unwrap()))
    }

    fn of_tunnel(kind: Tunnel, id: u32, outer: Option<Ends>) -> u64 {
        let mut trail = trail();
        trail.enter(kind, Some(id), outer).unwrap();
        trail.scope().0
    }

    #[test]
    fn each_kind_is_marked_by_what_is_the_same_both_ways() {
        let (ab, ba, ac) = (ends("::1", "1.2.3.4"), ends("1.2.3.4", "::1"), ends("::1", "::2"));
        for kind in Tunnel::ALL {
            let base = of_tunnel(kind, 7, ab);
            assert_eq!(base, of_tunnel(kind, 7, ba), "{kind:?}");
            let mark = kind.mark();
            assert_eq!(base != of_tunnel(kind, 8, ab), mark.id, "{kind:?}");
            assert_eq!(base != of_tunnel(kind, 7, ac), mark.ends, "{kind:?}");
            assert_eq!(base >> 62, u64::from(mark.id || mark.ends), "{kind:?}");
        }
    }

    #[test]
    fn layers_and_their_order_count() {
        let scope = |steps: &[(Tunnel, u32)]| {
            let mut trail = trail();
            for &(kind, id) in steps {
                match kind {
                    Vlan => trail.vlan(u16::try_from(id).unwrap()).unwrap(),
                    _ => trail.enter(kind, Some(id), None).unwrap(),
                }
            }
            assert_eq!(trail.layers().len(), steps.len());
            trail.scope().0
        };
        use Tunnel::{Geneve, Mpls, Vlan, Vxlan};
        let all = [
            scope(&[]),
            scope(&[(Vlan, 1)]),
            scope(&[(Vxlan, 1)]),
            scope(&[(Geneve, 1)]),
            scope(&[(Vxlan, 1), (Vlan, 1)]),
            scope(&[(Vlan, 1), (Vxlan, 1)]),
            scope(&[(Vxlan, 1), (Vxlan, 1)]),
            scope(&[(Vxlan, 1), (Vlan, 1), (Vlan, 2)]),
            scope(&[(Vxlan, 1), (Vlan, 2), (Vlan, 1)]),
        ];
        let distinct: std::collections::BTreeSet<u64> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(scope(&[(Mpls, 5), (Vxlan, 1)]), scope(&[(Vxlan, 1)]));
    }

    #[test]
    fn without_scopes_there_are_no_layers_but_bounds() {
        let mut trail = Trail { scoped: false, ..trail() };
        for _ in 0..8 {
            trail.vlan(1).unwrap();
            trail.enter(Tunnel::Vxlan, Some(1), None).unwrap();
        }
        assert_eq!(trail.vlan(1), Err(Skip::VlanBound));
        assert_eq!(trail.enter(Tunnel::Gre, None, None), Err(Skip::TunnelBound));
        assert_eq!((trail.scope(), trail.layers().len()), (Scope(0), 0));
    }
}
