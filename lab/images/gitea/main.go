// Command gitea is the whole of the Gitea image's own code: Gitea itself, and an entry point that sets it up from
// the environment, so that nobody fills in a wizard. No password is ever an argument of a process.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"code.gitea.io/gitea/cmd"
	"code.gitea.io/gitea/modules/generate"
	"code.gitea.io/gitea/modules/log"
	"code.gitea.io/gitea/modules/setting"

	_ "code.gitea.io/gitea/modules/markup/console"
	_ "code.gitea.io/gitea/modules/markup/csv"
	_ "code.gitea.io/gitea/modules/markup/markdown"
	_ "code.gitea.io/gitea/modules/markup/orgmode"

	"github.com/urfave/cli/v3"
)

const (
	data         = "/data"
	config       = data + "/gitea/conf/app.ini"
	home         = data + "/home"
	static       = "/app"
	gitUser      = 1000
	databaseWait = 60 * time.Second
)

// Version is set by the build.
var Version = "1.26.0"

func main() {
	setting.AppVer = Version
	setting.AppStartTime = time.Now().UTC()
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "entrypoint":
			must(asRoot())
		case "setup":
			must(setUp())
		case "create-admin":
			createAdmin()
		}
	}
	gitea(os.Args...)
}

// asRoot gives the volume to the user git and goes on as that user; a volume is root's when it is new.
func asRoot() error {
	if err := os.MkdirAll(filepath.Dir(config), 0o750); err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o750); err != nil {
		return err
	}
	if err := giveAway(data); err != nil {
		return err
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(gitUser); err != nil {
		return err
	}
	if err := syscall.Setuid(gitUser); err != nil {
		return err
	}
	return replaceBy("setup")
}

// giveAway changes the owner of what isn't git's yet; after the first start that is nothing.
func giveAway(root string) error {
	return filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() == "lost+found" {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Sys().(*syscall.Stat_t).Uid == gitUser {
			return nil
		}
		return os.Lchown(path, gitUser, gitUser)
	})
}

// setUp writes the settings, waits for the database, makes the administrator, and becomes the server.
func setUp() error {
	if err := writeConfig(); err != nil {
		return err
	}
	if err := waitForDatabase(); err != nil {
		return err
	}
	if os.Getenv("GITEA_ADMIN_USERNAME") != "" {
		if err := makeAdmin(); err != nil {
			return fmt.Errorf("the administrator could not be made: %w", err)
		}
	}
	for _, name := range []string{"GITEA_ADMIN_PASSWORD", "GITEA__database__PASSWD"} {
		os.Unsetenv(name) // the server and the git commands that it runs don't need them
	}
	return replaceBy("web", "--config", config)
}

// writeConfig turns GITEA__section__KEY into app.ini; what Gitea generates once (its keys) stays in it.
func writeConfig() error {
	ini, err := setting.NewConfigProviderFromFile(config)
	if err != nil {
		return err
	}
	defaults := map[string]map[string]string{
		"":           {"RUN_USER": "git", "RUN_MODE": "prod", "WORK_PATH": data + "/gitea"},
		"server":     {"STATIC_ROOT_PATH": static, "HTTP_PORT": "3000", "START_SSH_SERVER": "true", "SSH_LISTEN_PORT": "22", "LFS_START_SERVER": "false"},
		"repository": {"ROOT": data + "/git/repositories"},
		"security":   {"INSTALL_LOCK": "true"},
		"log":        {"LEVEL": "Warn"},
	}
	for section, values := range defaults {
		for key, value := range values {
			ini.Section(section).Key(key).SetValue(value)
		}
	}
	if err := generateKeys(ini); err != nil {
		return err
	}
	setting.EnvironmentToConfig(ini, os.Environ())
	if err := ini.SaveTo(config); err != nil {
		return err
	}
	return os.Chmod(config, 0o600)
}

func generateKeys(ini setting.ConfigProvider) error {
	keys := []struct {
		section, name string
		make          func() (string, error)
	}{
		{"security", "SECRET_KEY", generate.NewSecretKey},
		{"security", "INTERNAL_TOKEN", generate.NewInternalToken},
		{"oauth2", "JWT_SECRET", func() (string, error) { _, text := generate.NewJwtSecretWithBase64(); return text, nil }},
	}
	for _, key := range keys {
		if ini.Section(key.section).Key(key.name).String() != "" {
			continue
		}
		value, err := key.make()
		if err != nil {
			return err
		}
		ini.Section(key.section).Key(key.name).SetValue(value)
	}
	return nil
}

func waitForDatabase() error {
	address := os.Getenv("GITEA__database__HOST")
	if address == "" {
		return nil
	}
	var last error
	for end := time.Now().Add(databaseWait); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		connection, err := net.DialTimeout("tcp", address, 2*time.Second)
		if err == nil {
			return connection.Close()
		}
		last = err
	}
	return fmt.Errorf("the database at %s does not answer: %w", address, last)
}

// makeAdmin fills the database's tables and makes the administrator, once. Each is a process of its own, since
// Gitea reads its settings once in a process.
func makeAdmin() error {
	marker := filepath.Join(data, "gitea", ".admin-"+os.Getenv("GITEA_ADMIN_USERNAME"))
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	var err error
	for attempt := 0; attempt < 10; attempt++ {
		// A database that accepts connections may still refuse work for a moment.
		if err = child("migrate", "--config", config); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	if err == nil {
		err = child("create-admin")
	}
	if err != nil {
		return err
	}
	return os.WriteFile(marker, nil, 0o600)
}

// child runs a command of ours; what it says is only shown when it fails.
func child(arguments ...string) error {
	said, err := exec.Command(self(), arguments...).CombinedOutput()
	if err != nil {
		os.Stderr.Write(said)
	}
	return err
}

// createAdmin calls Gitea's own command within this process, so that the password is on no command line.
func createAdmin() {
	name, password := os.Getenv("GITEA_ADMIN_USERNAME"), os.Getenv("GITEA_ADMIN_PASSWORD")
	if password == "" {
		must(errors.New("GITEA_ADMIN_PASSWORD is not set"))
	}
	email := os.Getenv("GITEA_ADMIN_EMAIL")
	if email == "" {
		email = name + "@example.com"
	}
	gitea("gitea", "admin", "user", "create", "--config", config, "--admin", "--must-change-password=false",
		"--username", name, "--email", email, "--password", password)
}

func gitea(arguments ...string) {
	cli.OsExiter = func(code int) {
		log.GetManager().Close()
		os.Exit(code)
	}
	app := cmd.NewMainApp(cmd.AppVersion{Version: Version})
	_ = cmd.RunMainApp(app, arguments...)
	log.GetManager().Close()
	os.Exit(0)
}

func replaceBy(arguments ...string) error {
	os.Setenv("HOME", home)
	os.Setenv("USER", "git")
	return syscall.Exec(self(), append([]string{"gitea"}, arguments...), os.Environ())
}

func self() string {
	path, err := os.Executable()
	must(err)
	return path
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gitea:", err)
		os.Exit(1)
	}
}
