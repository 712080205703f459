import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkedVersion } from '../../src/mcsapi-coredns-cfg/coredns-version.ts';
import { ClusterDomainError, CorednsTooOldError, CorefileError } from '../../src/mcsapi-coredns-cfg/errors.ts';
import { withMulticluster } from '../../src/mcsapi-coredns-cfg/multicluster.ts';

const DOMAINS = { cluster: 'cluster.local', clusterset: 'clusterset.local' };

const changed = (corefile: string) => withMulticluster(corefile, DOMAINS);

/** As a cluster is usually set up. */
const ORDINARY = `.:53 {
    errors
    health {
       lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    reload
}
`;

const CONFIGURED = `.:53 {
    errors
    health {
       lameduck 5s
    }
    kubernetes cluster.local clusterset.local in-addr.arpa ip6.arpa {
       multicluster clusterset.local
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local clusterset.local
       disable denial cluster.local clusterset.local
    }
    reload
}
`;

test('an ordinary Corefile becomes what the original makes of it, and then stays as it is', () => {
  expect(changed(ORDINARY)).toBe(CONFIGURED);
  expect(changed(CONFIGURED)).toBeUndefined();
});

test.each<[string, string, string]>([
  [
    'a plugin without a block is given one',
    '. {\n\tkubernetes cluster.local # all of it\n}\n',
    '. {\n\tkubernetes cluster.local clusterset.local {\n\t   multicluster clusterset.local\n\t} # all of it\n}\n',
  ],
  [
    'a comment behind the brace stays behind it',
    '. {\n  kubernetes cluster.local { # here\n  }\n}',
    '. {\n  kubernetes cluster.local clusterset.local { # here\n     multicluster clusterset.local\n  }\n}',
  ],
  [
    'zones of the server go along, with port and scheme',
    'dns://cluster.local:5353, example.org {\n  kubernetes cluster.local {\n  }\n}',
    'dns://cluster.local:5353 dns://clusterset.local:5353, example.org {\n  kubernetes cluster.local clusterset.local {\n     multicluster clusterset.local\n  }\n}',
  ],
  [
    'a dot at the end, capitals and tabs are no hindrance',
    '.\t{\n\n  kubernetes\tCluster.Local.\t{\n\tfallthrough\n  }\n}',
    '.\t{\n\n  kubernetes\tCluster.Local. clusterset.local\t{\n     multicluster clusterset.local\n\tfallthrough\n  }\n}',
  ],
  [
    'line breaks of Windows stay such',
    '. {\r\n  kubernetes cluster.local {\r\n  }\r\n}\r\n',
    '. {\r\n  kubernetes cluster.local clusterset.local {\r\n     multicluster clusterset.local\r\n  }\r\n}\r\n',
  ],
  [
    'servers of other domains, longer names, comments and rules of other plugins stay',
    '# multicluster on cluster.local\n.:54 {\n  kubernetes other.local {\n  }\n}\n. {\n  rewrite name a.cluster.local b.cluster.local\n  template IN A my-cluster.local {\n  }\n  kubernetes cluster.local {\n  }\n}',
    '# multicluster on cluster.local\n.:54 {\n  kubernetes other.local {\n  }\n}\n. {\n  rewrite name a.cluster.local b.cluster.local\n  template IN A my-cluster.local {\n  }\n  kubernetes cluster.local clusterset.local {\n     multicluster clusterset.local\n  }\n}',
  ],
  [
    'each server for the domain is changed, and a snippet too',
    '(k8s) {\n  kubernetes cluster.local {\n  }\n}\n.:53 {\n  import k8s\n}\n.:54 {\n  kubernetes cluster.local\n  cache cluster.local\n}',
    '(k8s) {\n  kubernetes cluster.local clusterset.local {\n     multicluster clusterset.local\n  }\n}\n.:53 {\n  import k8s\n}\n.:54 {\n  kubernetes cluster.local clusterset.local {\n     multicluster clusterset.local\n  }\n  cache cluster.local clusterset.local\n}',
  ],
  [
    'zones in several lines are those of one server',
    'a.org,\ncluster.local {\n  kubernetes cluster.local {\n  }\n}',
    'a.org,\ncluster.local clusterset.local {\n  kubernetes cluster.local clusterset.local {\n     multicluster clusterset.local\n  }\n}',
  ],
])('%s', (_, before, after) => {
  expect(changed(before)).toBe(after);
  expect(changed(after)).toBeUndefined();
});

test.each([
  ['an option multicluster for another domain', '. {\n  kubernetes cluster.local {\n    multicluster hello.world\n  }\n}'],
  ['the domain among the zones', '. {\n  kubernetes cluster.local clusterset.local\n}'],
  ['a server of the domain', 'clusterset.local:53 {\n  forward . 10.0.0.1\n}\n. {\n  kubernetes cluster.local\n}'],
  ['a rule for a name of the domain', '. {\n  rewrite name x.org web.shop.svc.clusterset.local\n  kubernetes cluster.local\n}'],
])('a Corefile with %s is taken for configured', (_, corefile) => {
  expect(changed(corefile)).toBeUndefined();
});

test.each([
  ['', 'the plugin "kubernetes" is missing'],
  ['. {\n  # kubernetes cluster.local\n  forward . 1.1.1.1\n}', 'the plugin "kubernetes" is missing'],
  [
    '. {\n  kubernetes other.local in-addr.arpa\n}',
    'no plugin "kubernetes" for cluster.local: found it for other.local, in-addr.arpa',
  ],
  ['. {\n  kubernetes my-cluster.local\n}', 'no plugin "kubernetes" for cluster.local: found it for my-cluster.local'],
])('%j is refused, since nothing in it serves the domain', (corefile, reason) => {
  expect(() => changed(corefile)).toThrow(ClusterDomainError);
  expect(() => changed(corefile)).toThrow(reason);
});

test.each([
  ['. {\n  kubernetes cluster.local {\n  }\n', 'line 1: unclosed block'],
  ['. {\n}\n}\n', 'line 3: unmatched closing brace'],
  ['. {\n  kubernetes cluster.local { ttl 30 }\n}', 'line 2: unexpected brace'],
  ['. {\n  kubernetes "cluster.local\n}', 'line 2: unclosed quote'],
])('%j is refused by its line', (corefile, reason) => {
  expect(() => changed(corefile)).toThrow(CorefileError);
  expect(() => changed(corefile)).toThrow(reason);
});

test('for any Corefile, a change removes nothing, and a second one changes nothing', () => {
  const line = fc.constantFrom(
    ...['. {', '}', 'kubernetes cluster.local {', 'kubernetes cluster.local', '\tcache 30 {', 'disable success cluster.local'],
    ...[
      'fallthrough cluster.local x',
      '# cluster.local {',
      'cluster.local:53 {',
      'a,',
      '',
      ' errors \r',
      '"a b"',
      'log cluster.local',
    ],
  );
  const lines = fc.array(line, { maxLength: 12 });
  fc.assert(
    fc.property(lines, fc.boolean(), (some, isWrapped) => {
      const text = isWrapped ? ['. {', 'kubernetes cluster.local {', ...some, '}', '}'].join('\n') : some.join('\n');
      let result: string | undefined;
      try {
        result = changed(text);
      } catch (thrown) {
        expect([ClusterDomainError, CorefileError].some((type) => thrown instanceof type)).toBe(true);
        return;
      }
      expect(result).toBeDefined();
      let place = 0;
      for (const character of text) place = (result ?? '').indexOf(character, place) + 1 || Number.NaN;
      expect(place).not.toBeNaN();
      expect(changed(result ?? '')).toBeUndefined();
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['registry.k8s.io/coredns/coredns:v1.12.2', '1.12.2'],
  ['localhost:5000/coredns:1.13.0-eksbuild.1@sha256:0a1b', '1.13.0'],
  ['coredns:2.0.0', '2.0.0'],
  ['coredns', undefined],
  ['localhost:5000/coredns', undefined],
  ['coredns:latest', undefined],
  ['coredns@sha256:0a1b', undefined],
])('the image %s is of version %s', (image, version) => {
  expect(checkedVersion(image)).toBe(version);
});

test.each(['coredns:v1.12.1', 'coredns:1.9.9', 'registry:5000/coredns:v0.99.99-custom'])('the image %s is too old', (image) => {
  expect(() => checkedVersion(image)).toThrow(CorednsTooOldError);
});
