# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# Completion of ovs-ext-ctl and ovs-ext-db for bash(1).

# The names of commands or options, which the program itself knows.
_ovs_ext_ctl_commands () {
    ovs-ext-ctl --commands 2>/dev/null | sed 's/^[^,]*,\([^,]*\).*/\1/'
}

_ovs_ext_ctl_options () {
    ovs-ext-ctl --options 2>/dev/null | sed 's/ .*//; s/=.*/=/'
    ovs-ext-ctl --commands 2>/dev/null \
        | sed 's/,.*//' | tr -s '[] ' '\n' | sed -n '/^--/p' | sort -u
}

# _ovs_ext_ctl_records TABLE COLUMN: what the database has, if it answers.
_ovs_ext_ctl_records () {
    ovs-ext-ctl --timeout=1 --no-leader-only -f table --no-headings \
        --columns="$2" list "$1" 2>/dev/null | tr -d ' "'
}

_ovs_ext_ctl_tables='Affinity Affinity_Report Backend Connection Ext_Global
    Host Migration_Hint Network RBAC_Permission RBAC_Role Resource
    Resource_Metrics SSL Service Steering_Policy Traffic_Profile'
_ovs_ext_ctl_classes='tcp udp sctp icmp esp other'

# Completes argument number $2 of command $1, the word being $3.
_ovs_ext_ctl_argument () {
    local words=
    case $1,$2 in
        show,1 | pin,1 | unpin,1 | del-host,1)
            words=`_ovs_ext_ctl_records Host name` ;;
        pin,2 | unpin,2 | del-network,1)
            words=`_ovs_ext_ctl_records Network name` ;;
        pin,3 | unpin,3)
            words=$_ovs_ext_ctl_classes ;;
        pin,4)
            words="none `_ovs_ext_ctl_records Resource name`" ;;
        del-service,1 | add-service,1 | add-backend,1 | del-backend,1)
            words=`_ovs_ext_ctl_records Service name` ;;
        add-backend,2 | del-backend,2)
            words=`_ovs_ext_ctl_records Backend name` ;;
        drain,* | undrain,*)
            words="`_ovs_ext_ctl_records Host name`
                `_ovs_ext_ctl_records Backend name`" ;;
        add-service,2)
            words='tcp udp' ;;
        add-service,6)
            words='vxlan geneve' ;;
        del-policy,1 | get-policy,1)
            words=`_ovs_ext_ctl_records Steering_Policy name` ;;
        list,1 | find,1 | get,1 | set,1 | add,1 | remove,1 | clear,1 \
        | create,1 | destroy,1 | wait-until,1)
            words=$_ovs_ext_ctl_tables ;;
        add-policy,2 | get-policy,2 | set-ssl,*)
            COMPREPLY=(`compgen -f -- "$3"`)
            return ;;
    esac
    COMPREPLY=(`compgen -W "$words" -- "$3"`)
}

_ovs_ext_ctl () {
    local word=${COMP_WORDS[COMP_CWORD]} command= n=0 i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --) command= n=0 ;;
            -*) ;;
            *) if test -z "$command"; then
                   command=${COMP_WORDS[i]}
               else
                   n=$((n + 1))
               fi ;;
        esac
    done
    case $word in
        -*)
            COMPREPLY=(`compgen -W "$(_ovs_ext_ctl_options)" -- "$word"`) ;;
        *)
            if test -z "$command"; then
                COMPREPLY=(`compgen -W "$(_ovs_ext_ctl_commands)" -- "$word"`)
            else
                _ovs_ext_ctl_argument "$command" $((n + 1)) "$word"
            fi ;;
    esac
}

_ovs_ext_db () {
    local word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=(`compgen -W "embed unembed create start stop restart status
        upgrade start-cluster join leave relay --db= --schema= --listen=
        --private-key= --certificate= --ca-cert= --ovs-db= --no-monitor
        --wait= --help --version" -- "$word"`)
}

complete -F _ovs_ext_ctl ovs-ext-ctl
complete -F _ovs_ext_db ovs-ext-db
