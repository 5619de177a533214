package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
)

// keptFile is a file of one line of JSON that outlives a crash at any moment: it is replaced whole, a second line with
// the first one's digest tells whether it is whole, and the one before it is kept in case it isn't.
type keptFile struct {
	path string
	last []byte
}

var errDamaged = errors.New("damaged")

// read gives the newest content that is whole.
func (k *keptFile) read() ([]byte, error) {
	data, err := readWhole(k.path)
	if err == nil {
		k.last = data
		return data, nil
	}
	before, errBefore := readWhole(k.before())
	if errBefore != nil {
		return nil, err
	}
	log.Printf("%s; %s is used", err, k.before())
	return before, nil
}

// replace writes content unless the file has it already.
func (k *keptFile) replace(data []byte) error {
	if bytes.Equal(data, k.last) {
		return nil
	}
	unfinished := k.path + ".unfinished"
	if err := writeThrough(unfinished, append(append(bytes.Clone(data), '\n'), digestLine(data)...)); err != nil {
		return err
	}
	if k.last != nil { // else the file is missing or damaged, and the one before it is the better one
		if err := os.Remove(k.before()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Link(k.path, k.before()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(unfinished, k.path); err != nil {
		return err
	}
	k.last = data
	return syncFolder(filepath.Dir(k.path))
}

func (k *keptFile) before() string { return k.path + ".before" }

func readWhole(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	content, digest, found := bytes.Cut(data, []byte("\n"))
	if !json.Valid(content) || found && len(digest) > 0 && !bytes.Equal(digest, digestLine(content)) {
		return nil, fmt.Errorf("%s: %w", path, errDamaged)
	}
	return content, nil
}

func digestLine(data []byte) []byte {
	sum := sha256.Sum256(data)
	return []byte("sha256 " + hex.EncodeToString(sum[:]) + "\n")
}

func writeThrough(path string, data []byte) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = out.Write(data); err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
