// Checks a published log and receipts with golang.org/x/mod/sumdb alone, nothing of ours:
//
//	go run outside.go DIRECTORY VKEY_FILE RECEIPT...
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type directory string

func (d directory) Height() int                                { return 8 }
func (d directory) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

// The package writes the height into a path; tlog-tiles leaves it out, and calls the data level "entries".
func (d directory) read(tile tlog.Tile) []byte {
	path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
	data, err := os.ReadFile(filepath.Join(string(d), strings.Replace(path, "tile/data/", "tile/entries/", 1)))
	check(err)
	return data
}

func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		all = append(all, d.read(tile))
	}
	return all, nil
}

func main() {
	dir, key := directory(os.Args[1]), os.Args[2]
	signed, err := os.ReadFile(filepath.Join(string(dir), "checkpoint"))
	check(err)
	tree := open(signed, key)
	hashes := tlog.TileHashReader(tree, dir)
	for n := int64(0); n*256 < tree.N; n++ {
		width := int(tree.N - n*256)
		if width > 256 {
			width = 256
		}
		bundle := dir.read(tlog.Tile{H: 8, L: -1, N: n, W: width})
		for i := 0; i < width; i++ {
			length := int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2 : 2+length]
			bundle = bundle[2+length:]
			index := n*256 + int64(i)
			proof, err := tlog.ProveRecord(tree.N, index, hashes)
			check(err)
			check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
		}
		if len(bundle) != 0 {
			log.Fatalf("bundle %d is too long", n)
		}
	}
	for _, path := range os.Args[3:] {
		receipt(path, key, tree, hashes)
	}
	fmt.Println(tree.N, tree.Hash)
}

func open(signed []byte, key string) tlog.Tree {
	vkey, err := os.ReadFile(key)
	check(err)
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	check(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		log.Fatal("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

func receipt(path, key string, tree tlog.Tree, hashes tlog.HashReader) {
	data, err := os.ReadFile(path)
	check(err)
	parts := strings.SplitN(string(data), "\n\n", 2)
	old := open([]byte(parts[1]), key)
	lines := strings.Split(parts[0], "\n")
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	check(err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	check(err)
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		check(err)
		proof = append(proof, hash)
	}
	check(tlog.CheckRecord(proof, old.N, old.Hash, index, tlog.RecordHash(entry)))
	growth, err := tlog.ProveTree(tree.N, old.N, hashes)
	check(err)
	check(tlog.CheckTree(growth, tree.N, tree.Hash, old.N, old.Hash))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
