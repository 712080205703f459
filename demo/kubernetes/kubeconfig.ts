/**
 * The kubeconfig that leads to the embedded API.
 */
import { stringify } from 'yaml';

/** The text of a kubeconfig for the API at `url`. There is no TLS to verify, which some clients want to be told. */
export function kubeconfigText(url: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'embedded', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'anyone', user: {} }],
    contexts: [{ name: 'embedded', context: { cluster: 'embedded', user: 'anyone' } }],
    'current-context': 'embedded',
  });
}
