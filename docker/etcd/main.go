// One program for etcd and etcdctl: most of what each links, the other links too.
package main

import (
	"os"
	"path/filepath"
	"regexp"

	"go.etcd.io/etcd/etcdctl/v3/ctlv3"
	"go.etcd.io/etcd/server/v3/etcdmain"
)

// Cilium's charts up to 1.17 put the address of the Pod into brackets, whatever its family. RFC 3986 allows that for IPv6
// only, and Go from 1.24.8 rejects the rest.
var bracketedIPv4 = regexp.MustCompile(`://\[(\d+\.\d+\.\d+\.\d+)\]`)

func main() {
	if filepath.Base(os.Args[0]) == "etcdctl" {
		ctlv3.MustStart()
		return
	}
	for i, argument := range os.Args {
		os.Args[i] = bracketedIPv4.ReplaceAllString(argument, "://$1")
	}
	etcdmain.Main(os.Args)
}
