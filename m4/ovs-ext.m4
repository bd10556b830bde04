# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# Configure checks of ovs-ext.  Each ends the run with one message that names
# what is missing and how to get it.

# _OVS_EXT_OVS_VAR(VARIABLE, OVS-MAKE-VARIABLE)
#
# Reads the value of OVS-MAKE-VARIABLE from the Makefile of the built tree.
# Automake writes such values in one line or continued with a backslash.
AC_DEFUN([_OVS_EXT_OVS_VAR],
  [$1=`$SED -n -e '/^$2 *=/{' -e ':a' -e 's/\\\\$//' -e 't more' -e 'b out' \
         -e ':more' -e 'N' -e 's/\n//' -e 'b a' -e ':out' \
         -e 's/^$2 *= *//p' -e 'q' -e '}' "$OVS_BUILDDIR/Makefile"`])

# OVS_EXT_CHECK_OVS
#
# Finds the Open vSwitch source and build tree and the flags OVS was built
# with.  Sets for make:
#
#   OVS_SRCDIR, OVS_BUILDDIR, OVS_VERSION
#   OVS_CPPFLAGS           every -I needed for OVS headers, its config.h first
#   OVS_CFLAGS             its language and warning flags (no -O, no -g)
#   OVS_LIBS               libopenvswitch and what it needs
#   OVS_LIBADD             libofproto, libsflow, libopenvswitch: a vswitchd
#   OVS_VSWITCHD_OBJS      the object files of ovs-vswitchd itself
#   OVS_VSWITCHD_LDFLAGS   linker flags of ovs-vswitchd
#   OVS_VSWITCHD_DEPS      files whose change needs a new link
#   OVS_RUNDIR             where its daemons keep sockets and pid files
#   OVS_LOGDIR, OVS_DBDIR  where they keep logs and databases
AC_DEFUN([OVS_EXT_CHECK_OVS],
  [AC_ARG_WITH([ovs-source],
     [AS_HELP_STRING([--with-ovs-source=DIR],
        [Open vSwitch 3.1 source tree (default: .cache/ovs-src)])])
   AC_ARG_WITH([ovs-build],
     [AS_HELP_STRING([--with-ovs-build=DIR],
        [its build directory, configured --with-dpdk
         (default: the source tree, or .cache/ovs-build)])])

   AC_MSG_CHECKING([for the Open vSwitch source tree])
   ext_srcdir=`cd "$srcdir" && pwd`
   case $with_ovs_source in
     yes | no) AC_MSG_ERROR([--with-ovs-source needs a directory]) ;;
     '')
       OVS_SRCDIR=$ext_srcdir/.cache/ovs-src
       : ${with_ovs_build=$ext_srcdir/.cache/ovs-build} ;;
     *) OVS_SRCDIR=$with_ovs_source ;;
   esac
   if test ! -f "$OVS_SRCDIR/vswitchd/bridge.c"; then
     AC_MSG_RESULT([no])
     AC_MSG_ERROR([no Open vSwitch source in $OVS_SRCDIR: give --with-ovs-source=DIR, or run ./quickstart build, which fetches and builds it])
   fi
   OVS_SRCDIR=`cd "$OVS_SRCDIR" && pwd`
   AC_MSG_RESULT([$OVS_SRCDIR])

   AC_MSG_CHECKING([for the Open vSwitch build tree])
   OVS_BUILDDIR=${with_ovs_build:-$OVS_SRCDIR}
   if test ! -f "$OVS_BUILDDIR/config.h"; then
     AC_MSG_RESULT([no])
     AC_MSG_ERROR([$OVS_BUILDDIR is not configured: run configure --with-dpdk=shared and make there, or give --with-ovs-build=DIR])
   fi
   OVS_BUILDDIR=`cd "$OVS_BUILDDIR" && pwd`
   for ext_file in vswitchd/bridge.o vswitchd/ovs-vswitchd.o \
                   vswitchd/system-stats.o lib/.libs/libopenvswitch.a \
                   lib/.libs/libsflow.a ofproto/.libs/libofproto.a; do
     if test ! -f "$OVS_BUILDDIR/$ext_file"; then
       AC_MSG_RESULT([no])
       AC_MSG_ERROR([$OVS_BUILDDIR is not built ($ext_file is missing): run make there])
     fi
   done
   AC_MSG_RESULT([$OVS_BUILDDIR])

   AC_MSG_CHECKING([whether Open vSwitch is built with DPDK])
   if grep '^#define DPDK_NETDEV 1' "$OVS_BUILDDIR/config.h" >/dev/null; then
     AC_MSG_RESULT([yes])
   else
     AC_MSG_RESULT([no])
     AC_MSG_ERROR([$OVS_BUILDDIR is built without DPDK: configure it with --with-dpdk=shared])
   fi

   AC_MSG_CHECKING([version of Open vSwitch])
   _OVS_EXT_OVS_VAR([OVS_VERSION], [VERSION])
   AC_MSG_RESULT([$OVS_VERSION])
   case $OVS_VERSION in
     3.1.*) ;;
     *) AC_MSG_WARN([ovs-ext is written for Open vSwitch 3.1; $OVS_VERSION is not tested]) ;;
   esac

   _OVS_EXT_OVS_VAR([ext_cflags], [OVS_CFLAGS])
   _OVS_EXT_OVS_VAR([ext_warnings], [WARNING_FLAGS])
   _OVS_EXT_OVS_VAR([OVS_BUILD_CFLAGS], [CFLAGS])
   _OVS_EXT_OVS_VAR([ext_ldflags], [LDFLAGS])
   _OVS_EXT_OVS_VAR([ext_ovs_ldflags], [OVS_LDFLAGS])
   _OVS_EXT_OVS_VAR([ext_dpdk_ldflags], [DPDK_vswitchd_LDFLAGS])
   _OVS_EXT_OVS_VAR([ext_libs], [LIBS])
   _OVS_EXT_OVS_VAR([ext_ssl_libs], [SSL_LIBS])
   _OVS_EXT_OVS_VAR([ext_capng], [CAPNG_LDADD])

   dnl DPDK's headers do not pass all of Open vSwitch's warnings.
   ext_cflags=`echo "$ext_cflags" | $SED 's|-I\([[^ ]]*dpdk\)|-isystem \1|g'`
   OVS_CPPFLAGS="-I$OVS_BUILDDIR -I$OVS_SRCDIR -I$OVS_BUILDDIR/include -I$OVS_SRCDIR/include -I$OVS_BUILDDIR/lib -I$OVS_SRCDIR/lib -I$OVS_SRCDIR/vswitchd"
   OVS_CFLAGS="$ext_warnings $ext_cflags -D_FILE_OFFSET_BITS=64 -pthread"
   ext_avx=
   if test -f "$OVS_BUILDDIR/lib/.libs/libopenvswitchavx512.a"; then
     ext_avx=$OVS_BUILDDIR/lib/.libs/libopenvswitchavx512.a
   fi
   ext_core="$OVS_BUILDDIR/lib/.libs/libopenvswitch.a $ext_avx"
   ext_syslibs="$ext_ssl_libs $ext_capng $ext_libs -lpthread"
   OVS_LIBS="-Wl,--start-group $ext_core -Wl,--end-group $ext_syslibs"
   OVS_LIBADD="-Wl,--start-group $OVS_BUILDDIR/ofproto/.libs/libofproto.a $OVS_BUILDDIR/lib/.libs/libsflow.a $ext_core -Wl,--end-group $ext_syslibs"
   OVS_VSWITCHD_OBJS="$OVS_BUILDDIR/vswitchd/ovs-vswitchd.o $OVS_BUILDDIR/vswitchd/bridge.o $OVS_BUILDDIR/vswitchd/system-stats.o"
   OVS_VSWITCHD_LDFLAGS="$ext_ldflags $ext_ovs_ldflags $ext_dpdk_ldflags"
   OVS_VSWITCHD_DEPS="$OVS_VSWITCHD_OBJS $OVS_BUILDDIR/ofproto/.libs/libofproto.a $OVS_BUILDDIR/lib/.libs/libsflow.a $ext_core"

   _OVS_EXT_OVS_VAR([ext_prefix], [prefix])
   _OVS_EXT_OVS_VAR([ext_localstatedir], [localstatedir])
   OVS_RUNDIR=`echo "$ext_localstatedir/run/openvswitch" \
               | $SED "s|[\\$]{prefix}|$ext_prefix|"`
   OVS_LOGDIR=`echo "$ext_localstatedir/log/openvswitch" \
               | $SED "s|[\\$]{prefix}|$ext_prefix|"`
   _OVS_EXT_OVS_VAR([ext_sysconfdir], [sysconfdir])
   OVS_DBDIR=`echo "$ext_sysconfdir/openvswitch" \
              | $SED "s|[\\$]{prefix}|$ext_prefix|"`
   AC_SUBST([OVS_RUNDIR])
   AC_SUBST([OVS_LOGDIR])
   AC_SUBST([OVS_DBDIR])
   AC_SUBST([OVS_SRCDIR])
   AC_SUBST([OVS_BUILDDIR])
   AC_SUBST([OVS_VERSION])
   AC_SUBST([OVS_CPPFLAGS])
   AC_SUBST([OVS_CFLAGS])
   AC_SUBST([OVS_LIBS])
   AC_SUBST([OVS_LIBADD])
   AC_SUBST([OVS_VSWITCHD_OBJS])
   AC_SUBST([OVS_VSWITCHD_LDFLAGS])
   AC_SUBST([OVS_VSWITCHD_DEPS])])

# OVS_EXT_CHECK_DPDK
#
# Sets DPDK_CFLAGS, DPDK_LIBS, DPDK_VERSION, DPDK_PMDS_DIR (where EAL looks for
# drivers), DPDK_SRCDIR and the conditional HAVE_DPDK_SOURCE.
AC_DEFUN([OVS_EXT_CHECK_DPDK],
  [AC_ARG_WITH([dpdk],
     [AS_HELP_STRING([--with-dpdk],
        [DPDK as pkg-config finds it (the default, and the only choice)])])
   AC_ARG_WITH([dpdk-source],
     [AS_HELP_STRING([--with-dpdk-source=DIR],
        [unpacked DPDK source of the same version, for its driver headers;
         without it the NIC model is not built])])
   case $with_dpdk in
     '' | yes | shared) ;;
     no) AC_MSG_ERROR([ovs-ext does not build without DPDK]) ;;
     *) AC_MSG_ERROR([--with-dpdk takes no path: point PKG_CONFIG_PATH at the directory of libdpdk.pc]) ;;
   esac
   PKG_CHECK_MODULES([DPDK], [libdpdk >= 22.11], [],
     [AC_MSG_ERROR([pkg-config does not find libdpdk >= 22.11: install libdpdk-dev, or set PKG_CONFIG_PATH])])
   DPDK_CFLAGS=`echo "$DPDK_CFLAGS" | $SED 's|-I\([[^ ]]*dpdk\)|-isystem \1|g'`
   DPDK_VERSION=`$PKG_CONFIG --modversion libdpdk`
   AC_MSG_CHECKING([for the DPDK driver directory])
   ext_dpdk_libdir=`$PKG_CONFIG --variable=libdir libdpdk`
   DPDK_PMDS_DIR=
   for ext_dir in "$ext_dpdk_libdir"/dpdk/pmds-*; do
     test -d "$ext_dir" && DPDK_PMDS_DIR=$ext_dir
   done
   if test -z "$DPDK_PMDS_DIR"; then
     AC_MSG_RESULT([no])
     AC_MSG_ERROR([no pmds directory in $ext_dpdk_libdir/dpdk: a DPDK with shared libraries is needed])
   fi
   AC_MSG_RESULT([$DPDK_PMDS_DIR])

   AC_MSG_CHECKING([for DPDK driver headers])
   DPDK_SRCDIR=
   case $with_dpdk_source in
     '' | no) AC_MSG_RESULT([no]) ;;
     *)
       if test ! -f "$with_dpdk_source/lib/ethdev/ethdev_driver.h" \
          || test ! -f "$with_dpdk_source/drivers/bus/vdev/bus_vdev_driver.h"; then
         AC_MSG_RESULT([no])
         AC_MSG_ERROR([$with_dpdk_source is not a DPDK source tree (lib/ethdev/ethdev_driver.h or drivers/bus/vdev/bus_vdev_driver.h is missing)])
       fi
       DPDK_SRCDIR=`cd "$with_dpdk_source" && pwd`
       AC_MSG_RESULT([$DPDK_SRCDIR])
       if test -f "$DPDK_SRCDIR/VERSION"; then
         ext_ver=`cat "$DPDK_SRCDIR/VERSION"`
         if test "$ext_ver" != "$DPDK_VERSION"; then
           AC_MSG_ERROR([the DPDK source in $DPDK_SRCDIR is $ext_ver but libdpdk is $DPDK_VERSION: driver headers must be of the same version])
         fi
       fi ;;
   esac
   AC_SUBST([DPDK_VERSION])
   AC_SUBST([DPDK_PMDS_DIR])
   AC_SUBST([DPDK_SRCDIR])
   AM_CONDITIONAL([HAVE_DPDK_SOURCE], [test -n "$DPDK_SRCDIR"])])

# OVS_EXT_CHECK_GSL
#
# Least squares of the forecasters.  The libraries go to LIBS, so that whatever
# links with ours finds them; what does not use them does not load them.
AC_DEFUN([OVS_EXT_CHECK_GSL],
  [PKG_CHECK_MODULES([GSL], [gsl >= 2.7], [],
     [AC_MSG_ERROR([the GNU Scientific Library is missing.  Install libgsl-dev.])])
   LIBS="-Wl,--push-state,--as-needed $GSL_LIBS -Wl,--pop-state $LIBS"])

# OVS_EXT_CHECK_LMDB
#
# The file of the header cache's second level.  As for GSL.
AC_DEFUN([OVS_EXT_CHECK_LMDB],
  [PKG_CHECK_MODULES([LMDB], [lmdb >= 0.9.24], [],
     [AC_MSG_ERROR([LMDB is missing.  Install liblmdb-dev.])])
   LIBS="-Wl,--push-state,--as-needed $LMDB_LIBS -Wl,--pop-state $LIBS"])

# OVS_EXT_ENABLE_WERROR
AC_DEFUN([OVS_EXT_ENABLE_WERROR],
  [AC_ARG_ENABLE([Werror],
     [AS_HELP_STRING([--enable-Werror], [treat compiler warnings as errors])])
   EXT_WERROR=
   test "X$enable_Werror" = Xyes && EXT_WERROR=-Werror
   AC_SUBST([EXT_WERROR])])

# OVS_EXT_ENABLE_SANITIZERS
#
# Instruments our code only; Open vSwitch's objects stay as they were built.
AC_DEFUN([OVS_EXT_ENABLE_SANITIZERS],
  [AC_ARG_ENABLE([sanitizers],
     [AS_HELP_STRING([--enable-sanitizers=LIST],
        [build our code with -fsanitize=LIST: address,undefined or thread])])
   EXT_SANITIZE=
   ext_sanitizers=
   case $enable_sanitizers in
     '' | no) ;;
     yes) ext_sanitizers=address,undefined ;;
     *thread*address* | *address*thread*)
       AC_MSG_ERROR([--enable-sanitizers: thread and address exclude each other]) ;;
     *) ext_sanitizers=$enable_sanitizers ;;
   esac
   if test -n "$ext_sanitizers"; then
     EXT_SANITIZE="-fsanitize=$ext_sanitizers -fno-omit-frame-pointer"
     AC_MSG_CHECKING([whether $CC links with -fsanitize=$ext_sanitizers])
     ext_save_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS $EXT_SANITIZE"
     AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
       [AC_MSG_RESULT([no])
        AC_MSG_ERROR([$CC does not support -fsanitize=$ext_sanitizers])])
     CFLAGS=$ext_save_CFLAGS
   fi
   AC_SUBST([EXT_SANITIZE])
   AM_CONDITIONAL([HAVE_SANITIZERS], [test -n "$ext_sanitizers"])])

# OVS_EXT_CHECK_LTO
#
# -Wl,--wrap does not reach calls that link-time optimisation has resolved.
AC_DEFUN([OVS_EXT_CHECK_LTO],
  [AC_MSG_CHECKING([that link-time optimisation is off])
   ext_lto=
   for ext_flag in $CFLAGS $LDFLAGS $OVS_BUILD_CFLAGS $OVS_VSWITCHD_LDFLAGS; do
     case $ext_flag in
       -fno-lto) ext_lto= ;;
       -flto*) ext_lto=$ext_flag ;;
     esac
   done
   if test -n "$ext_lto"; then
     AC_MSG_RESULT([no ($ext_lto)])
     AC_MSG_ERROR([$ext_lto hides the calls ovs-ext interposes: build Open vSwitch and ovs-ext with -fno-lto])
   fi
   AC_MSG_RESULT([yes])])
