// Command gitea is the whole of the Gitea image's own code: Gitea itself, and an entry point that sets it up from
// the environment, so that nobody fills in a wizard. No password is ever an argument of a process.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"code.gitea.io/gitea/cmd"
	"code.gitea.io/gitea/models/db"
	user_model "code.gitea.io/gitea/models/user"
	"code.gitea.io/gitea/modules/generate"
	"code.gitea.io/gitea/modules/log"
	"code.gitea.io/gitea/modules/optional"
	"code.gitea.io/gitea/modules/setting"
	"code.gitea.io/gitea/services/versioned_migration"

	_ "code.gitea.io/gitea/modules/markup/console"
	_ "code.gitea.io/gitea/modules/markup/csv"
	_ "code.gitea.io/gitea/modules/markup/markdown"
	_ "code.gitea.io/gitea/modules/markup/orgmode"

	"github.com/urfave/cli/v3"
)

const (
	data    = "/data"
	config  = data + "/gitea/conf/app.ini"
	home    = data + "/home"
	static  = "/app"
	gitUser = 1000

	databaseWait   = 60 * time.Second
	databaseAnswer = 5 * time.Second
	databasePause  = 200 * time.Millisecond
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

// setUp writes the settings, prepares the database, makes the administrator, and becomes the server.
func setUp() error {
	if err := writeConfig(); err != nil {
		return err
	}
	setting.InitWorkPathAndCommonConfig(os.Getenv, setting.ArgWorkPathAndCustomConf{CustomConf: config})
	setting.LoadSettings()
	ctx := context.Background()
	if err := waitForDatabase(ctx); err != nil {
		return err
	}
	if name := os.Getenv("GITEA_ADMIN_USERNAME"); name != "" {
		if err := makeAdmin(ctx, name); err != nil {
			return fmt.Errorf("the administrator %s could not be made: %w", name, err)
		}
	}
	for _, variable := range os.Environ() { // the server and the git commands that it runs don't need them
		if strings.HasPrefix(variable, "GITEA__") || strings.HasPrefix(variable, "GITEA_ADMIN_") {
			os.Unsetenv(strings.SplitN(variable, "=", 2)[0])
		}
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
	// Gitea takes the name for its SSH addresses from the root URL only when that isn't a number.
	if root, err := url.Parse(os.Getenv("GITEA__server__ROOT_URL")); err == nil && root.Hostname() != "" {
		defaults["server"]["DOMAIN"] = root.Hostname()
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
	// Renamed into place when it is whole: the keys in it can't be made again.
	unfinished := config + ".unfinished"
	if err := ini.SaveTo(unfinished); err != nil {
		return err
	}
	if err := os.Chmod(unfinished, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, config)
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

// waitForDatabase waits until the database lets us in. What waiting doesn't mend ends it at once.
func waitForDatabase(ctx context.Context) error {
	if !setting.Database.Type.IsPostgreSQL() {
		return nil
	}
	address, err := setting.DBConnStr()
	if err != nil {
		return err
	}
	database, err := sql.Open("postgres", address)
	if err != nil {
		return err
	}
	defer database.Close()
	for end := time.Now().Add(databaseWait); ; time.Sleep(databasePause) {
		err := pinged(ctx, database)
		if err == nil {
			return nil
		}
		where := fmt.Sprintf("the database %s at %s", setting.Database.Name, setting.Database.Host)
		if isRefusal(err) {
			return fmt.Errorf("%s refuses the user %s, see GITEA__database__…: %w", where, setting.Database.User, err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s did not answer within %s: %w", where, databaseWait, err)
		}
	}
}

func pinged(ctx context.Context, database *sql.DB) error {
	limited, cancel := context.WithTimeout(ctx, databaseAnswer)
	defer cancel()
	return database.PingContext(limited)
}

// isRefusal knows PostgreSQL's classes of errors for a wrong login (28) and an unknown database (3D).
func isRefusal(err error) bool {
	var told interface{ SQLState() string }
	return errors.As(err, &told) && (strings.HasPrefix(told.SQLState(), "28") || strings.HasPrefix(told.SQLState(), "3D"))
}

// makeAdmin fills the database's tables and makes the administrator unless the database has that user. The database
// is asked at every start: either volume may have been lost, and a start may have been killed anywhere.
func makeAdmin(ctx context.Context, name string) error {
	if err := db.InitEngineWithMigration(ctx, versioned_migration.Migrate); err != nil {
		return err
	}
	defer db.UnsetDefaultEngine()
	there, err := user_model.IsUserExist(ctx, 0, name)
	if err != nil || there {
		return err
	}
	password := os.Getenv("GITEA_ADMIN_PASSWORD")
	if password == "" {
		return errors.New("GITEA_ADMIN_PASSWORD is not set")
	}
	email := os.Getenv("GITEA_ADMIN_EMAIL")
	if email == "" {
		email = name + "@example.com"
	}
	admin := &user_model.User{Name: name, Email: email, Passwd: password, IsAdmin: true, Visibility: setting.Service.DefaultUserVisibilityMode}
	active := &user_model.CreateUserOverwriteOptions{IsActive: optional.Some(true)}
	return user_model.CreateUser(ctx, admin, &user_model.Meta{}, active)
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
