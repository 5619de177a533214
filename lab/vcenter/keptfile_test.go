package main

import (
	"os"
	"path/filepath"
	"testing"
)

func keptTwice(t *testing.T) *keptFile {
	t.Helper()
	file := &keptFile{path: filepath.Join(t.TempDir(), "kept")}
	for _, text := range []string{`{"number":1}`, `{"number":2}`} {
		if err := file.replace([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func TestTheNewestContentIsRead(t *testing.T) {
	file := keptTwice(t)

	got, err := (&keptFile{path: file.path}).read()

	if err != nil || string(got) != `{"number":2}` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestContentThatIsNotWhatWasWrittenIsNotBelieved(t *testing.T) {
	file := keptTwice(t)
	data, err := os.ReadFile(file.path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(`{"number":`)] = '3'
	if err := os.WriteFile(file.path, data, 0o600); err != nil {
		t.Fatal(err)
	}

	got, err := (&keptFile{path: file.path}).read()

	if err != nil || string(got) != `{"number":1}` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestDamagedContentDoesNotTakeThePlaceOfTheOneBefore(t *testing.T) {
	file := keptTwice(t)
	if err := os.WriteFile(file.path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := &keptFile{path: file.path}
	if _, err := again.read(); err != nil {
		t.Fatal(err)
	}
	if err := again.replace([]byte(`{"number":4}`)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file.path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}

	got, err := (&keptFile{path: file.path}).read()

	if err != nil || string(got) != `{"number":1}` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestTwoDamagedFilesAreAnErrorThatNamesThem(t *testing.T) {
	file := keptTwice(t)
	for _, path := range []string{file.path, file.before()} {
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	_, err := (&keptFile{path: file.path}).read()

	if err == nil || err.Error() != file.path+": damaged" {
		t.Errorf("got %v", err)
	}
}
