/** Faults of addresses. */
import { NODE_PORTS } from '../doctor-fixture.ts';
import { type Fault, nodeAddress, remoteEntry } from './fault.ts';

export const NETWORK_FAULTS: readonly Fault[] = [
  {
    title: 'Pod CIDRs overlap',
    plant: (p) => p.patch('west', '/apis/cilium.io/v2/ciliumnodes/west-0', { spec: { ipam: { podCIDRs: ['10.1.0.0/16'] } } }),
    lines: ['error pod-cidr-overlap: east and west'],
    evidence: /10\.1\.0\.0\/24 of east \(node east-0\) and 10\.1\.0\.0\/16 of west \(node west-0\)/,
    remedy: /clusterPoolIPv4PodCIDRList/,
    touches: ['nodes'],
  },
  {
    title: 'pools of Pod CIDRs overlap',
    async plant(p) {
      for (const side of ['east', 'west'] as const) await p.config(side, { 'cluster-pool-ipv4-cidr': '10.0.0.0/8' });
    },
    lines: ['warning pod-pool-overlap: east and west'],
    evidence: /10\.0\.0\.0\/8 of east and 10\.0\.0\.0\/8 of west/,
    remedy: /clusterPoolIPv4PodCIDRList/,
    touches: ['pools'],
  },
  {
    title: 'two nodes have one address',
    async plant(p) {
      await p.patch('west', '/apis/cilium.io/v2/ciliumnodes/west-1', nodeAddress('192.0.2.12'));
      await p.secret('east', 'cilium-kvstoremesh', { west: remoteEntry('west', NODE_PORTS.west, '192.0.2.21') });
    },
    lines: ['error node-address-overlap: east and west'],
    evidence: /192\.0\.2\.12 of east \(node east-1\) and 192\.0\.2\.12 of west \(node west-1\)/,
    remedy: /other addresses/,
    touches: ['nodes', 'entries'],
  },
  {
    title: 'a Pod CIDR has the address of a node of the other cluster',
    plant: (p) => p.patch('west', '/apis/cilium.io/v2/ciliumnodes/west-0', { spec: { ipam: { podCIDRs: ['192.0.2.0/28'] } } }),
    lines: ['error pod-node-overlap: east and west'],
    evidence: /192\.0\.2\.11 of east \(node east-0\) and 192\.0\.2\.0\/28 of west/,
    remedy: /Pod CIDRs/,
    touches: ['nodes'],
  },
  {
    title: 'a Pod CIDR is within the Service CIDR of the other cluster',
    plant: (p) => p.patch('west', '/apis/cilium.io/v2/ciliumnodes/west-0', { spec: { ipam: { podCIDRs: ['10.96.4.0/24'] } } }),
    lines: ['error service-cidr-overlap: east and west'],
    evidence: /10\.96\.0\.0\/12 of east and 10\.96\.4\.0\/24 of west/,
    remedy: /service-cluster-ip-range/,
    touches: ['nodes'],
  },
];
