/** The keys that rows mirror; tests of the same figures use them too, and tests do not import the bench. */
export * from '../test/support/kvstoremesh/cluster-keys.ts';
