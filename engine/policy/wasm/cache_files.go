package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/containerd/log"
)

// Wazero trusts what is in a file of machine code, but for a checksum of the code
// itself. So each has its digest beside it, and a file that is not what was written is
// removed before wazero sees it.
const digestSuffix = ".sha256"

// codeName is what wazero calls a file of machine code.
var codeName = regexp.MustCompile("^[0-9a-f]{64}$")

// removeDamaged takes out of the cache what is not as it was written; it is compiled
// anew. A file that somebody else has written, or may write, is an error: then nothing
// in there is to be trusted.
func removeDamaged(ctx context.Context, dir string) error {
	files, err := machineCode(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		why := damage(file)
		if why == nil {
			continue
		}
		log.G(ctx).Warnf("cache of machine code: %s is removed, to be compiled anew: %v", file, why)
		if err := errors.Join(remove(file), remove(file+digestSuffix)); err != nil {
			return fmt.Errorf("cache of machine code: a damaged file cannot be removed: %w", err)
		}
	}
	return nil
}

// seal puts a digest beside each file that has none.
func seal(dir string) error {
	files, err := machineCode(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		if _, err := os.Lstat(file + digestSuffix); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		digest, err := digestOf(file)
		if err != nil {
			return fmt.Errorf("cache of machine code: %w", err)
		}
		if err := os.WriteFile(file+digestSuffix, []byte(digest), 0o600); err != nil {
			return fmt.Errorf("cache of machine code: %w", err)
		}
	}
	return nil
}

// machineCode lists the files of machine code below a directory, in which everything
// has to be the owner's alone.
func machineCode(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another process has just removed it
		}
		if err != nil {
			return fmt.Errorf("cache of machine code: %w", err)
		}
		if path == dir {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = checkFile(info)
		}
		if err != nil {
			return fmt.Errorf("cache of machine code: %s: %w", path, err)
		}
		if codeName.MatchString(entry.Name()) && !entry.IsDir() {
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// checkFile says why what is in the cache may be another's work.
func checkFile(info fs.FileInfo) error {
	const advice = "; find out who put it there, and empty the directory"
	switch uid, known := owner(info); {
	case !info.IsDir() && !info.Mode().IsRegular():
		return errors.New("is neither a file nor a directory" + advice)
	case !known || uid != os.Geteuid():
		return fmt.Errorf("belongs to user %d, and the guard runs as %d%s", uid, os.Geteuid(), advice)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("has mode %04o, so that others can write it%s", info.Mode().Perm(), advice)
	}
	return nil
}

// damage says why a file is not what was written.
func damage(file string) error {
	want, err := os.ReadFile(file + digestSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("its digest is missing")
	}
	if err != nil {
		return err
	}
	got, err := digestOf(file)
	if err == nil && got != string(want) {
		err = errors.New("it is damaged, or its digest is")
	}
	return err
}

func digestOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read from
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func remove(file string) error {
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
