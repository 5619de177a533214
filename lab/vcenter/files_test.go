package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

var me = url.UserPassword(user, password)

// put lays a file onto the datastore, as any client does.
func (s *site) put(name, content string) {
	s.t.Helper()
	if status, _ := s.web(http.MethodPut, "/folder/"+name, me, strings.NewReader(content)); status != http.StatusOK {
		s.t.Fatalf("%s: %d", name, status)
	}
}

// onDisk are the files and folders of the datastore.
func (s *site) onDisk() []string {
	s.t.Helper()
	top := filepath.Join(s.state, "datastores", store)
	var found []string
	s.must(filepath.Walk(top, func(path string, _ os.FileInfo, err error) error {
		if path != top {
			found = append(found, strings.TrimPrefix(path, top+"/"))
		}
		return err
	}))
	return found
}

func (s *site) fileManager() (*object.FileManager, *object.Datacenter) {
	s.t.Helper()
	center, err := s.finder.DefaultDatacenter(s.ctx)
	s.must(err)
	return object.NewFileManager(s.client.Client), center
}

func TestFoldersAreMadeMovedAndDeleted(t *testing.T) {
	one := start(t, t.TempDir())
	files, center := one.fileManager()

	one.must(files.MakeDirectory(one.ctx, "[LocalDS_0] a/b/c", center, true))
	one.must(files.MakeDirectory(one.ctx, "[LocalDS_0] a/d", center, false))
	one.put("a/b/c/x", "content")
	one.done(files.CopyDatastoreFile(one.ctx, "[LocalDS_0] a/b", center, "[LocalDS_0] copy", center, false))
	one.done(files.MoveDatastoreFile(one.ctx, "[LocalDS_0] a/b/c", center, "[LocalDS_0] a/d/e", nil, false))
	one.done(files.DeleteDatastoreFile(one.ctx, "[LocalDS_0] a/b", center))

	if got := one.onDisk(); !slices.Equal(got, []string{"a", "a/d", "a/d/e", "a/d/e/x", "copy", "copy/c", "copy/c/x"}) {
		t.Errorf("got %v", got)
	}
}

func TestATaskOnFilesNamesNoObjectThatIsNoneOfTheInventory(t *testing.T) {
	one := start(t, t.TempDir())
	files, center := one.fileManager()
	one.put("x", "1")
	task, err := files.DeleteDatastoreFile(one.ctx, "[LocalDS_0] x", center)

	info := one.done(task, err)

	if info.Entity != nil {
		t.Errorf("it names %s", info.Entity)
	}
}

func TestFilesThatCannotBeChangedAreNamedAsTheClientNamesThem(t *testing.T) {
	one := start(t, t.TempDir())
	files, center := one.fileManager()
	one.put("a/x", "1")
	one.put("a/y", "2")
	remove := func(name string) error { return one.failed(files.DeleteDatastoreFile(one.ctx, name, center)) }
	move := func(from, to string) error {
		return one.failed(files.MoveDatastoreFile(one.ctx, from, center, to, center, false))
	}

	refused := map[string]error{
		"there":   files.MakeDirectory(one.ctx, "[LocalDS_0] a", center, true),
		"parent":  files.MakeDirectory(one.ctx, "[LocalDS_0] b/c", center, false),
		"gone":    remove("[LocalDS_0] a/z"),
		"target":  move("[LocalDS_0] a/x", "[LocalDS_0] a/y"),
		"nowhere": move("[LocalDS_0] a/x", "[LocalDS_0] b/x"),
		"source":  move("[LocalDS_0] a/z", "[LocalDS_0] b"),
	}
	expect[*types.FileAlreadyExists](t, refused["there"])
	expect[*types.FileNotFound](t, refused["parent"])
	expect[*types.FileNotFound](t, refused["gone"])
	expect[*types.FileAlreadyExists](t, refused["target"])
	expect[*types.FileNotFound](t, refused["nowhere"])
	expect[*types.FileNotFound](t, refused["source"])
	for what, err := range refused {
		if text := err.Error(); strings.Contains(text, one.state) || !strings.Contains(text, "[LocalDS_0] ") {
			t.Errorf("%s: %s", what, text)
		}
	}
	expect[*types.InvalidDatastorePath](t, remove("[LocalDS_0] ../other"))
	expect[*types.InvalidDatastorePath](t, remove("[LocalDS_0]"))
	expect[*types.InvalidDatastore](t, remove("[nowhere] a"))
	if got := one.onDisk(); len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

func TestWhatARunningMachineHasOpenIsNotDeleted(t *testing.T) {
	one := start(t, t.TempDir())
	files, center := one.fileManager()
	one.put("vch/old.iso", "old")
	one.put("vch/appliance.iso", "new")
	one.put("iso/elsewhere.iso", "x")
	spec := withImage("vch", "[LocalDS_0] vch/appliance.iso")
	spec.Files = &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0] vch/vch.vmx"}
	folder, err := one.finder.DefaultFolder(one.ctx)
	one.must(err)
	where, err := one.finder.ResourcePool(one.ctx, pool)
	one.must(err)
	made := one.done(folder.CreateVM(one.ctx, spec, where, nil)).Result.(types.ManagedObjectReference)
	vm := object.NewVirtualMachine(one.client.Client, made)
	one.done(vm.PowerOn(one.ctx))
	remove := func(name string) (*object.Task, error) { return files.DeleteDatastoreFile(one.ctx, name, center) }

	expect[*types.FileLocked](t, one.failed(remove("[LocalDS_0] vch")))
	expect[*types.FileLocked](t, one.failed(remove("[LocalDS_0] vch/vch.vmx")))
	expect[*types.FileLocked](t, one.failed(files.MoveDatastoreFile(one.ctx, "[LocalDS_0] vch", center, "[LocalDS_0] b", center, false)))
	status, _ := one.web(http.MethodDelete, "/folder/vch/appliance.iso", me, nil)

	want := []string{"iso", "iso/elsewhere.iso", "vch", "vch/appliance.iso", "vch/vch.nvram", "vch/vch.vmx", "vch/vmware.log"}
	if got := one.onDisk(); !slices.Equal(got, want) || status != http.StatusConflict {
		t.Errorf("got %v, %d", got, status)
	}
	one.done(vm.PowerOff(one.ctx))
	one.done(remove("[LocalDS_0] vch"))
	if got := one.onDisk(); len(got) != 2 {
		t.Errorf("at last: %v", got)
	}
	expect[*types.FileNotFound](t, one.failed(vm.PowerOn(one.ctx)))
}

func (s *site) browse(path string, spec *types.HostDatastoreBrowserSearchSpec, deep bool) ([]types.HostDatastoreBrowserSearchResults, error) {
	s.t.Helper()
	found, err := s.finder.Datastore(s.ctx, store)
	s.must(err)
	browser, err := found.Browser(s.ctx)
	s.must(err)
	search := browser.SearchDatastore
	if deep {
		search = browser.SearchDatastoreSubFolders
	}
	task, err := search(s.ctx, path, spec)
	s.must(err)
	info, err := task.WaitForResult(s.ctx)
	if err != nil {
		return nil, err
	}
	if deep {
		return info.Result.(types.ArrayOfHostDatastoreBrowserSearchResults).HostDatastoreBrowserSearchResults, nil
	}
	return []types.HostDatastoreBrowserSearchResults{info.Result.(types.HostDatastoreBrowserSearchResults)}, nil
}

func TestADatastoreIsBrowsed(t *testing.T) {
	one := start(t, t.TempDir())
	one.put("a/x.iso", "123")
	one.put("a/b/y.vmdk", "1")
	one.put("a/b/y-flat.vmdk", "1")

	here, err := one.browse("[LocalDS_0] a", nil, false)
	one.must(err)
	all, err := one.browse("[LocalDS_0]", &types.HostDatastoreBrowserSearchSpec{
		Details: &types.FileQueryFlags{FileType: true, FileSize: true, Modification: true}, MatchPattern: []string{"*.iso", "*.vmdk"},
		Query: []types.BaseFileQuery{new(types.IsoImageFileQuery), new(types.VmDiskFileQuery)},
	}, true)
	one.must(err)

	if here[0].FolderPath != "[LocalDS_0] a" || len(here[0].File) != 2 {
		t.Errorf("here: %+v", here[0])
	}
	found := map[string]types.BaseFileInfo{}
	for _, folder := range all {
		for _, file := range folder.File {
			found[folder.FolderPath+file.GetFileInfo().Path] = file
		}
	}
	image, isImage := found["[LocalDS_0] a/x.iso"].(*types.IsoImageFileInfo)
	_, isDisk := found["[LocalDS_0] a/b/y.vmdk"].(*types.VmDiskFileInfo)
	if len(found) != 2 || !isImage || !isDisk || image.FileSize != 3 || image.Modification == nil {
		t.Errorf("found %+v", found)
	}
	for path, is := range map[string]func(error) bool{
		"[LocalDS_0] none":    func(err error) bool { return strings.Contains(err.Error(), "was not found") },
		"[nowhere] a":         func(err error) bool { return strings.Contains(err.Error(), "Invalid datastore") },
		"[LocalDS_0] ../../x": func(err error) bool { return strings.Contains(err.Error(), "Invalid datastore path") },
	} {
		if _, err := one.browse(path, nil, true); err == nil || !is(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestFilesAreDownloadedInParts(t *testing.T) {
	one := start(t, t.TempDir())
	one.put("a/index.html", "0123456789")

	for _, ask := range []struct {
		method, ranged string
		status         int
		body, size     string
	}{
		{http.MethodGet, "", http.StatusOK, "0123456789", "10"},
		{http.MethodGet, "bytes=2-4", http.StatusPartialContent, "234", "3"},
		{http.MethodGet, "bytes=7-", http.StatusPartialContent, "789", "3"},
		{http.MethodGet, "bytes=20-", http.StatusRequestedRangeNotSatisfiable, "", ""},
		{http.MethodHead, "", http.StatusOK, "", "10"},
	} {
		status, headers, body := one.ranged(ask.method, "/folder/a/index.html", ask.ranged)
		if status != ask.status || ask.size != "" && (body != ask.body || headers.Get("Content-Length") != ask.size) {
			t.Errorf("%s %s: %d, %q, %v", ask.method, ask.ranged, status, body, headers)
		}
	}
	for path, want := range map[string]int{"/folder/a/none": http.StatusNotFound, "/folder/a/": http.StatusOK} {
		if status, _ := one.web(http.MethodGet, path, me, nil); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
	if _, text := one.web(http.MethodGet, "/folder/a", me, nil); !strings.Contains(text, "index.html") {
		t.Errorf("the folder's list is %s", text)
	}
	if status, _ := one.web(http.MethodPut, "/folder/a", me, strings.NewReader("x")); status != http.StatusConflict {
		t.Errorf("a folder is overwritten: %d", status)
	}
	if status, _ := one.web(http.MethodDelete, "/folder/a/index.html", me, nil); status != http.StatusNoContent || len(one.onDisk()) != 1 {
		t.Errorf("deleted: %d, %v", status, one.onDisk())
	}
}

func TestNothingMoreGoesOntoAFullDatastore(t *testing.T) {
	one := startControlled(t, usualSize)
	files, center := one.fileManager()
	vm := one.made(named("before"))
	one.put("x", "1")
	free := func() int64 {
		found, err := one.finder.Datastore(one.ctx, store)
		one.must(err)
		properties := one.datastore(found)
		return properties.Summary.FreeSpace
	}
	before := free()

	one.post("/switches", `{"full": ["LocalDS_0"]}`)

	refused := map[string]error{
		"create":   one.failed(one.create(named("after"), pool)),
		"snapshot": one.failed(vm.CreateSnapshot(one.ctx, "a", "", false, false)),
		"power on": one.failed(vm.PowerOn(one.ctx)),
		"folder":   files.MakeDirectory(one.ctx, "[LocalDS_0] a", center, true),
		"copy":     one.failed(files.CopyDatastoreFile(one.ctx, "[LocalDS_0] x", center, "[LocalDS_0] y", center, false)),
	}
	status, _ := one.web(http.MethodPut, "/folder/y", me, strings.NewReader("1"))
	during := free()
	one.done(files.MoveDatastoreFile(one.ctx, "[LocalDS_0] x", center, "[LocalDS_0] y", center, false))
	one.post("/switches", `{"latency_ms": 0}`)
	stillFull := one.failed(vm.PowerOn(one.ctx))
	one.post("/switches/reset", ``)

	for what, err := range refused {
		t.Run(what, func(t *testing.T) { expect[*types.NoDiskSpace](t, err) })
	}
	expect[*types.NoDiskSpace](t, stillFull)
	if status != http.StatusInsufficientStorage || during != 0 || free() != before {
		t.Errorf("PUT: %d, free: %d, then %d, now %d", status, before, during, free())
	}
	one.done(vm.PowerOn(one.ctx))
	if status, content := one.ask(http.MethodPost, "/switches", `{"full": ["nowhere"]}`); status != http.StatusBadRequest {
		t.Errorf("a datastore that isn't there: %d, %v", status, content)
	}
}

func (s *site) datastore(found *object.Datastore) mo.Datastore {
	s.t.Helper()
	var properties mo.Datastore
	s.must(found.Properties(s.ctx, found.Reference(), nil, &properties))
	return properties
}

// ranged is an answer to a request for a part of a file.
func (s *site) ranged(method, path, part string) (int, http.Header, string) {
	s.t.Helper()
	address := url.URL{Scheme: "https", Host: s.server.URL.Host, Path: path, RawQuery: "dcPath=DC0&dsName=" + store}
	request, err := http.NewRequestWithContext(s.ctx, method, address.String(), nil)
	s.must(err)
	request.SetBasicAuth(user, password)
	if part != "" {
		request.Header.Set("Range", part)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	s.must(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	s.must(err)
	return answer.StatusCode, answer.Header, string(body)
}
