"""Working aid, not for main: the kernel against the reference without building the package.

    gcc -std=c99 -O1 -fPIC -shared -ffp-contract=off -Icsrc csrc/nbt_*.c -o /tmp/h/b/libnbt.so -lm
    python plan15_compare.py
"""
import ctypes as C, sys, itertools, re
import numpy as np
sys.path.insert(0,'/tmp/h/columnar/tests')
import reference as ref
from reference import Settings, ReferenceLearner
from reference_stream import StreamLearner
lib=C.CDLL('/tmp/h/b/libnbt.so')
text=open('/tmp/h/columnar/csrc/nbt_tables.h').read()
rows=re.search(r'#define NBT_FIELD_LIST\(X\)(.*?)/\* Defaults that',text,re.S).group(1)
names=re.findall(r'X\((\w+), (COUNT|CHOICE|REAL|ABOVE)',rows)
class Config(C.Structure):
    _fields_=[('seed',C.c_uint64)]+[(n,C.c_uint32 if k in('COUNT','CHOICE') else C.c_float) for n,k in names]
lib.nbt_config_default.restype=Config
lib.nbt_bytes.restype=C.c_size_t
lib.nbt_hash.restype=C.c_uint64
CELLS=['tanh','leaky','gated','lstm','columnar']; EST=list(ref.ESTIMATORS); FIL=['sgd','kalman','kalman_quasi']; LINK=['gaussian','categorical','bernoulli']
ARR=['theta','readout','w','v','covariance','readout_covariance','state','learning_state','noise']
NUM={'theta':0,'readout':1,'w':2,'v':3,'covariance':4,'readout_covariance':5,'state':6,'noise':8,'traces':11,'head':24,'head_cov':25}
def kernel(s, follow=False, anchor=None):
    c=lib.nbt_config_default(s.n_in,s.n_out,s.n_hidden,LINK.index(s.link))
    for n,_ in names:
        if n in('n_hidden','n_in','n_out','anchored','stuck_steps','rollback_steps'): continue
        v=getattr(s,n,0)
        if n=='cell': v=CELLS.index(v)
        elif n=='estimator': v=EST.index(v)
        elif n=='filter': v=FIL.index(v)
        elif n=='link': v=LINK.index(v)
        elif n=='norm': v=['euclidean','metric'].index(v)
        setattr(c,n,type(getattr(c,n))(v))
    c.anchored=int(s.anchor is not None); c.seed=0
    f=C.c_uint32(); lo=C.c_double(); hi=C.c_double()
    r=lib.nbt_config_check(C.byref(c),C.byref(f),C.byref(lo),C.byref(hi))
    assert r==0,(r,(['seed']+[n for n,_ in names])[f.value],lo.value,hi.value)
    n=lib.nbt_bytes(C.byref(c)); mem=(C.c_uint64*(n//8+1))(); p=C.c_void_p()
    assert lib.nbt_init(mem,C.c_size_t(n),C.byref(c),C.byref(p))==0
    if s.anchor is not None:
        a=(C.c_int32*s.n_out)(*[-1 if x is None else x for x in s.anchor]); assert lib.nbt_anchor_set(p,a)==0
    return p,mem,n
def array(p,name):
    r=C.c_size_t(); c=C.c_size_t()
    if lib.nbt_array_get(p,NUM[name],None,C.byref(r),C.byref(c))!=0: return None
    out=np.zeros((r.value,c.value),np.float32)
    lib.nbt_array_get(p,NUM[name],out.ctypes.data_as(C.c_void_p),C.byref(r),C.byref(c)); return out.astype(float)
def run(s,steps=200,stream=False):
    p,mem,n=kernel(s)
    rng=np.random.default_rng(7); X=np.cumsum(rng.normal(size=(steps,s.n_in)),0)*.3+rng.normal(size=(steps,s.n_in)); X=X.astype(np.float32)
    past=np.vstack([np.zeros((2,s.n_in)),X[:-2]]); Y=np.column_stack([past[:,0],past[:,1],past.sum(1)])[:,:s.n_out]+.3*rng.normal(size=(steps,s.n_out))
    if s.link=='bernoulli': Y=(Y>0).astype(float)
    if s.link=='categorical': Y=Y.argmax(1)[:,None].astype(float)
    Y=Y.astype(np.float32)
    L=(StreamLearner if s.follow else ReferenceLearner)(s,array(p,'theta')) if s.estimator!='frozen' else (StreamLearner if s.follow else ReferenceLearner)(s)
    L.head=array(p,'head') if s.head else L.head
    y=np.zeros(s.n_out,np.float32); worst=0; hz=s.max_delay+1 if s.max_delay else 0
    for t in range(steps):
        if hz and t>=hz:
            assert lib.nbt_learn(p,Y[t].ctypes.data_as(C.c_void_p))>=0; L.learn(Y[t].astype(float))
        st=lib.nbt_predict(p,y.ctypes.data_as(C.c_void_p),X[t].ctypes.data_as(C.c_void_p)); assert st>=0,st
        yr=L.predict(X[t].astype(float)); worst=max(worst,np.abs(y-yr).max())
        if not hz:
            st=lib.nbt_learn(p,Y[t].ctypes.data_as(C.c_void_p)); assert st in(0,2),st
            L.learn(Y[t].astype(float))
    res={'y':worst}
    for name,val in (('theta',L.theta),('readout',L.readout),('head',L.head),('head_cov',L.head_P),('traces',L.g),('readout_covariance',L.covariance.dense),('state',L.state)):
        a=array(p,name)
        if a is None or (name=='theta' and s.estimator=='frozen'): continue
        val=val.reshape(a.shape); res[name]=np.abs(a-val).max()/max(np.abs(val).max(),1e-9) if val.size else 0.0
    moved=np.abs(array(p,'head')-kernel_head0).max() if s.head and kernel_head0 is not None else None
    return res
kernel_head0=None
if __name__=='__main__':
    base=dict(n_in=2,n_out=3,n_hidden=5,lags=2,head=3,head_gain=1.0,anneal_steps=100000)
    bad=0
    for cell,est,fil,link,d in itertools.product(['gated','lstm','tanh'],EST,FIL,LINK,[0,2]):
        if cell=='lstm' and est in ref.WITH_TRACES: continue
        s=Settings(cell=cell,estimator=est,filter=fil,link=link,max_delay=d,**base)
        r=run(s)
        w=max(v for k,v in r.items())
        if w>5e-3: bad+=1; print('BAD',cell,est,fil,link,d,{k:f'{v:.1e}' for k,v in r.items()})
    print('last',{k:f'{v:.1e}' for k,v in r.items()},'bad',bad)
    for est,d in itertools.product(['frozen','snap1','unitwise','nobacktrack'],[0,2]):
        s=Settings(estimator=est,max_delay=d,follow=True,anchor=(0,1,None),scale_rate=2e-3,gate=5.0,prior_units=True,linear_lags=4,linear_forget=.999,slow_forget=.9998,mix_forget=.998,prior=3.,prior_hidden=.05,info_floor=.005,**base)
        r=run(s); print(est,d,{k:f'{v:.1e}' for k,v in r.items()})
    s=Settings(2,3,0,lags=2,head=4,head_gain=1.,estimator='frozen'); print('hidden 0',{k:f'{v:.1e}' for k,v in run(s).items()})
