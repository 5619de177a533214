package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/vmware/govmomi/vim25/types"
)

// account is someone who may log in. Who may and with which password never stands on a command line.
type account struct {
	User, Password string
	Role           role
}

// role says which privileges an account has; the zero role has none.
type role struct {
	all bool
	set map[string]bool
}

// accounts are all who may log in; the first one, the site's own, may do everything.
type accounts []account

// readOnlyRole is what vCenter's own role of that name holds (vSphere API reference: AuthorizationManager, system roles).
var readOnlyRole = []string{"System.Anonymous", "System.Read", "System.View"}

// readAccounts reads the credentials file: user, password and, for tests of missing rights, others with their roles.
func readAccounts(file string) (accounts, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var kept struct {
		account
		Others accounts
	}
	if err := json.Unmarshal(data, &kept); err != nil {
		return nil, fmt.Errorf("%s: no JSON object with user, password and, if wanted, others: %w", file, err)
	}
	kept.Role = role{all: true}
	all := append(accounts{kept.account}, kept.Others...)
	for index, one := range all {
		if err := one.check(all[:index]); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return all, nil
}

// check says what an account lacks, beside those before it in the file.
func (a account) check(before accounts) error {
	switch {
	case a.User == "" || a.Password == "":
		return fmt.Errorf("user and password are needed, for each of the others too")
	case before.find(a.User) != nil:
		return fmt.Errorf("user %s is there twice", a.User)
	case !a.Role.all && a.Role.set == nil:
		return fmt.Errorf("user %s needs a role: %s", a.User, rolesText)
	}
	return nil
}

// find is the account of a user; nil if there is none.
func (list accounts) find(user string) *account {
	at := slices.IndexFunc(list, func(one account) bool { return one.User == user })
	if at < 0 {
		return nil
	}
	return &list[at]
}

// accepts says whether this is a user with that user's own password.
func (list accounts) accepts(login *types.Login) bool {
	found := list.find(login.UserName)
	return found != nil && found.Password == login.Password
}

// privileges are what the account may do: everything, or what is in the set.
func (a account) privileges() (set map[string]bool, all bool) { return a.Role.set, a.Role.all }

const rolesText = `"ReadOnly", "NoAccess" or {"privileges": ["System.Read", ...]}`

func (r *role) UnmarshalJSON(data []byte) error {
	var name string
	if json.Unmarshal(data, &name) == nil {
		return r.named(name)
	}
	var own struct{ Privileges *[]string }
	if err := json.Unmarshal(data, &own); err != nil || own.Privileges == nil {
		return fmt.Errorf("a role is %s", rolesText)
	}
	r.hold(*own.Privileges)
	return nil
}

func (r *role) named(name string) error {
	switch name {
	case "ReadOnly":
		r.hold(readOnlyRole)
	case "NoAccess":
		r.hold(nil)
	default:
		return fmt.Errorf("there is no role %q: a role is %s", name, rolesText)
	}
	return nil
}

func (r *role) hold(privileges []string) {
	r.set = map[string]bool{}
	for _, one := range privileges {
		r.set[one] = true
	}
}
